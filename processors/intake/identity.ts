/**
 * 128-bit identity of (event_id, user_id). Source: MurmurHash3_x86_128 by Austin Appleby (public domain). Two different
 * events collide with probability 2^-128 · n², far less likely than a disk error. It does not protect against a
 * producer that forges event ids, but such a producer can only hide its own events.
 */

/** Writes the hash of bytes[start..end) to out[0..4). */
export function identity(bytes: Uint8Array, start: number, end: number, out: Int32Array): void {
  const c1 = 0x239b961b;
  const c2 = 0xab0e9789;
  const c3 = 0x38b34ae5;
  const c4 = 0xa1e38b93;
  let h1 = 0x5f3759df;
  let h2 = 0x2545f491;
  let h3 = 0x1b873593;
  let h4 = 0x6c078965;
  const length = end - start;
  let at = start;
  for (; at + 16 <= end; at += 16) {
    h1 ^= scramble(word(bytes, at), c1, 15, c2);
    h1 = Math.imul(rotate(h1, 19) + h2, 5) + 0x561ccd1b;
    h2 ^= scramble(word(bytes, at + 4), c2, 16, c3);
    h2 = Math.imul(rotate(h2, 17) + h3, 5) + 0x0bcaa747;
    h3 ^= scramble(word(bytes, at + 8), c3, 17, c4);
    h3 = Math.imul(rotate(h3, 15) + h4, 5) + 0x96cd1c35;
    h4 ^= scramble(word(bytes, at + 12), c4, 18, c1);
    h4 = Math.imul(rotate(h4, 13) + h1, 5) + 0x32ac3b17;
  }
  if (at < end) h1 ^= scramble(tail(bytes, at, end), c1, 15, c2);
  if (at + 4 < end) h2 ^= scramble(tail(bytes, at + 4, end), c2, 16, c3);
  if (at + 8 < end) h3 ^= scramble(tail(bytes, at + 8, end), c3, 17, c4);
  if (at + 12 < end) h4 ^= scramble(tail(bytes, at + 12, end), c4, 18, c1);
  h1 ^= length;
  h2 ^= length;
  h3 ^= length;
  h4 ^= length;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = (h2 + h1) | 0;
  h3 = (h3 + h1) | 0;
  h4 = (h4 + h1) | 0;
  h1 = finalMix(h1);
  h2 = finalMix(h2);
  h3 = finalMix(h3);
  h4 = finalMix(h4);
  h1 = (h1 + h2 + h3 + h4) | 0;
  out[0] = h1;
  out[1] = (h2 + h1) | 0;
  out[2] = (h3 + h1) | 0;
  out[3] = (h4 + h1) | 0;
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

function scramble(value: number, a: number, by: number, b: number): number {
  return Math.imul(rotate(Math.imul(value, a), by), b);
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function tail(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  for (let i = Math.min(end - at, 4) - 1; i >= 0; i--) value = (value << 8) | bytes[at + i]!;
  return value;
}

function finalMix(value: number): number {
  let h = value;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
