/** What a version of the index is made of: the vectors and the texts of products, as of the same moment. */
import type { RecordColumns } from '../../runtime/log/log.js';
import { products } from '../../topics/events.js';
import type { Capture } from '../snapshotter.js';
import type { EmbeddingsCapture } from './embeddings-capture.js';
import type { TextsCapture } from './texts-capture.js';

const LENGTH_BYTES = 8;

export class FaissCapture implements Capture {
  readonly vectors: EmbeddingsCapture;
  readonly texts: TextsCapture;

  constructor(vectors: EmbeddingsCapture, texts: TextsCapture) {
    this.vectors = vectors;
    this.texts = texts;
  }

  add(batch: RecordColumns, row: number): void {
    if (batch.topic === products.name) this.texts.add(batch, row);
    else this.vectors.add(batch, row);
  }

  save(): Buffer {
    const vectors = this.vectors.save();
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeBigUInt64LE(BigInt(vectors.length));
    return Buffer.concat([length, vectors, this.texts.save()]);
  }

  restore(bytes: Buffer): void {
    const end = LENGTH_BYTES + Number(bytes.readBigUInt64LE());
    this.vectors.restore(bytes.subarray(LENGTH_BYTES, end));
    this.texts.restore(bytes.subarray(end));
  }
}
