/** Statistics of factors that need no knowledge of their purpose. */
import type { Places, SidePlace } from './model-memory.js';

export interface Distribution {
  readonly rows: number;
  /** Values that are NaN or infinite. */
  readonly notFinite: number;
  /** Rows of only zeros. */
  readonly zeroRows: number;
  /** Lengths of the rows. */
  readonly norm: { readonly min: number; readonly median: number; readonly p99: number; readonly max: number };
}

export function distributionOf(memory: ArrayBufferLike, { width }: Places, side: SidePlace): Distribution {
  const n = width / 4;
  const f32 = new Float32Array(memory, side.factors, side.count * n);
  const norms = new Float64Array(side.count);
  let notFinite = 0;
  let zeroRows = 0;
  for (let row = 0; row < side.count; row++) {
    let sum = 0;
    for (let f = row * n; f < (row + 1) * n; f++) {
      const value = f32[f]!;
      if (!Number.isFinite(value)) notFinite++;
      sum += value * value;
    }
    if (sum === 0) zeroRows++;
    norms[row] = Math.sqrt(sum);
  }
  norms.sort();
  const at = (share: number) => norms[Math.min(norms.length - 1, Math.floor(share * norms.length))] ?? 0;
  return { rows: side.count, notFinite, zeroRows, norm: { min: at(0), median: at(0.5), p99: at(0.99), max: at(1) } };
}
