/** Bytes that no schema expects, for the tests that put every reader through them. */
import { RECORD_BYTES_MAX } from '../../runtime/log/log.js';

/** Sizes at and around each limit: of an id, of what a dead letter keeps, of a record. */
export const HOSTILE_LENGTHS = [0, 1, 255, 256, 257, 65_535, 65_536, 90_000, RECORD_BYTES_MAX - 1, RECORD_BYTES_MAX];
export const HOSTILE_FILLS = [0x00, 0x01, 0x22, 0x41, 0x80, 0xff];
/** Texts that grow when they are quoted, that no store can keep, or that have no UTF-8 form. */
export const HOSTILE_TEXTS = ['', 'x'.repeat(257), 'a\0b', '\u0001'.repeat(90_000), '漢'.repeat(30_000), '\ud800'];
export const HOSTILE_TIMES = [0, -1, 8.64e15, 2 ** 52, -(2 ** 52)];

/** Every prefix of a good value, and the whole with each byte changed in turn. */
export function spoiled(good: Buffer): Buffer[] {
  const made: Buffer[] = [];
  for (let at = 0; at < good.length; at++) {
    made.push(good.subarray(0, at));
    for (const byte of [0x00, 0x7f, 0x80, 0xff]) {
      const one = Buffer.from(good);
      one[at] = byte;
      made.push(one);
    }
  }
  return made;
}

/** Values that fit into a record together with a key of `keyBytes`. */
export function blobs(keyBytes: number): Buffer[] {
  const lengths = HOSTILE_LENGTHS.map((length) => Math.min(length, RECORD_BYTES_MAX - keyBytes));
  return lengths.flatMap((length) => HOSTILE_FILLS.map((fill) => Buffer.alloc(length, fill)));
}
