/** Percentiles by the nearest-rank method: always a measured value. */
export function percentile(values: Float64Array | readonly number[], share: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
}
