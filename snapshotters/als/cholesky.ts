/** Small dense matrices in float64: n × n, row by row. */

/** L with L Lᵀ = a, lower triangular; reads only a's lower half. Null: a is not positive definite, or not finite. */
export function cholesky(a: Float64Array, n: number): Float64Array | null {
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= l[i * n + k]! * l[j * n + k]!;
      if (i > j) l[i * n + j] = sum / l[j * n + j]!;
      else if (sum > 0 && sum < Number.POSITIVE_INFINITY) l[i * n + i] = Math.sqrt(sum);
      else return null;
    }
  }
  return l;
}

/** The inverse of a lower triangular matrix, lower triangular too. */
export function inverseOfLower(l: Float64Array, n: number): Float64Array {
  const inverse = new Float64Array(n * n);
  for (let j = 0; j < n; j++) {
    inverse[j * n + j] = 1 / l[j * n + j]!;
    for (let i = j + 1; i < n; i++) {
      let sum = 0;
      for (let k = j; k < i; k++) sum += l[i * n + k]! * inverse[k * n + j]!;
      inverse[i * n + j] = -sum / l[i * n + i]!;
    }
  }
  return inverse;
}
