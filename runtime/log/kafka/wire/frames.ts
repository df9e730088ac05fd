/**
 * Splits what a socket receives into whole answers. Every answer is written once, into a buffer of its exact size:
 * reading into fresh chunks and joining them later takes twice the memory, and garbage collection was the largest part
 * of the reader's time.
 */
import { FreshetError } from '../../../process/errors.js';

const SIZE_BYTES = 4;
/** Larger than any answer to our requests; a larger size means that these bytes are not from Kafka. */
const FRAME_BYTES_MAX = 256 * 1024 * 1024;

export class FrameAssembler {
  readonly #emit: (frame: Buffer) => void;
  readonly #size = Buffer.alloc(SIZE_BYTES);
  #frame: Buffer | null = null;
  /** Bytes received so far, of the size and then of the frame. */
  #filled = 0;

  /** `emit` gets each frame, preceded by the four bytes of its size. */
  constructor(emit: (frame: Buffer) => void) {
    this.#emit = emit;
  }

  /** Copies bytes[0..length). Throws 'connection' on an impossible size. */
  push(bytes: Uint8Array, length: number): void {
    for (let at = 0; at < length; ) {
      const target = this.#frame ?? this.#size;
      const taken = Math.min(target.length - this.#filled, length - at);
      target.set(bytes.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled === target.length) this.#complete();
    }
  }

  #complete(): void {
    if (this.#frame !== null) {
      const frame = this.#frame;
      this.#frame = null;
      this.#filled = 0;
      this.#emit(frame);
      return;
    }
    const size = this.#size.readInt32BE(0);
    if (size <= 0 || size > FRAME_BYTES_MAX)
      throw new FreshetError('connection', `an answer of ${size} bytes: this is not a Kafka broker, or it speaks TLS`);
    this.#frame = Buffer.allocUnsafe(SIZE_BYTES + size);
    this.#frame.set(this.#size, 0);
  }
}
