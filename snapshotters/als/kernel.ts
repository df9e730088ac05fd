/**
 * A half step of ALS (Hu, Koren, Volinsky 2008). With Y the fixed side and x the row being solved:
 *
 *   (YᵀY + λI + Yᵤᵀ W Yᵤ) x = Yᵤᵀ (1 + w)            w = alpha · weight, per pair; preference 1, confidence 1 + w
 *
 * Yᵤ are the rows of the pairs. The first two terms are the same for every row: with YᵀY + λI = L Lᵀ, Z = Y L⁻ᵀ and x'
 * = Lᵀ x, the equation becomes (I + Zᵤᵀ W Zᵤ) x' = Zᵤᵀ (1 + w). So a row enters (x' = Lᵀ x), takes its steps of
 * conjugate gradient (Takács, Pilászy, Tikk 2011) there, and leaves (x = L⁻ᵀ x'): two triangular products instead of
 * one full product per step, and as YᵀY + λI is then the preconditioner, each step gets further. The last step needs no
 * new residual, so its sweep over the pairs costs half.
 *
 * All addresses are bytes into one memory. Rows are float32, `width` bytes long, a multiple of 64; both sides have zero
 * rows up to the next multiple of four. Two implementations: kernel.as (WASM SIMD) and plain-kernel.ts.
 */
export interface Kernel {
  /** out[g][f] = Σ row[g]·row[f] over rows [from, to), for f ≥ g at least; out is one square of `width / 4`. */
  gram(rows: number, from: number, to: number, width: number, out: number): void;
  /** out = rows · matrix, for rows [from, to), four at a time; the matrix is upper triangular (L⁻ᵀ). */
  whiten(rows: number, from: number, to: number, width: number, matrix: number, out: number): void;
  /**
   * Improves rows [from, to) of x by `steps` of conjugate gradient; `from` is a multiple of four. The pairs of row i
   * are pairs[starts[i]..ends[i]) (rows of z, u32) with weights[…] (f32); both columns are followed by 16 bytes of any
   * finite values. A row without pairs becomes 0. `enter` is L, `leave` L⁻¹, both lower triangular. `scratch`:
   * SCRATCH_ROWS rows.
   */
  solve(
    x: number,
    starts: number,
    ends: number,
    pairs: number,
    weights: number,
    z: number,
    from: number,
    to: number,
    width: number,
    steps: number,
    enter: number,
    leave: number,
    scratch: number,
  ): void;
  /** x · item, summed in the same order as in `ahead`. */
  score(x: number, item: number, width: number): number;
  /** Number of rows of items [0, count) whose product with x is at least `threshold`. */
  ahead(x: number, items: number, count: number, width: number, threshold: number): number;
}

/** Rows of scratch that `solve` needs: zeros, residual, direction, its product, four rows inside. */
export const SCRATCH_ROWS = 8;
/** Rows are padded with zeros to a multiple of this many factors. */
export const FACTORS_STEP = 16;
