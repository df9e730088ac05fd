/**
 * Terms of a language are in 256 shards: FNV-1a (32 bits) of the term's UTF-8 bytes, modulo 256. The number of
 * documents of the language is in shard 0.
 */
export const SHARDS = 256;
export const TOTALS_SHARD = 0;
export const FNV_OFFSET = 0x811c9dc5 | 0;
export const FNV_PRIME = 0x01000193;

/** FNV-1a of bytes[start..end), 32 bits, signed. Source: Fowler, Noll, Vo. */
export function fnv1a(bytes: Uint8Array, start: number, end: number): number {
  let hash = FNV_OFFSET;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, FNV_PRIME);
  return hash;
}

/** The shard of a term with this hash. */
export function shardOf(hash: number): number {
  return hash & (SHARDS - 1);
}
