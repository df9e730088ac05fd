/** Answers are assembled from whatever chunks a socket delivers. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FrameAssembler } from '../../../../../../runtime/log/kafka/wire/frames.js';
import { hasCode } from '../../../../../../runtime/process/errors.js';

const frame = (body: Uint8Array) => {
  const size = Buffer.alloc(4);
  size.writeInt32BE(body.length);
  return Buffer.concat([size, body]);
};

describe('frames', () => {
  test('any frames in any chunks are restored', () => {
    const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 8 });
    fc.assert(
      fc.property(bodies, fc.infiniteStream(fc.integer({ min: 1, max: 200 })), (parts, chunks) => {
        const frames = parts.map(frame);
        const stream = Buffer.concat(frames);
        const found: Buffer[] = [];
        const assembler = new FrameAssembler((each) => found.push(each));
        // One buffer for every chunk, as with the sockets.
        const shared = Buffer.alloc(200);
        for (let at = 0; at < stream.length; ) {
          const length = Math.min(chunks.next().value, stream.length - at);
          shared.fill(0xee);
          stream.copy(shared, 0, at, at + length);
          assembler.push(shared, length);
          at += length;
        }
        assert.deepEqual(found, frames);
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  test('an impossible size is refused, as when the peer is not Kafka', () => {
    for (const text of ['HTTP/1.1 400 Bad Request', '\xff\xff\xff\xff', '\0\0\0\0']) {
      const bytes = Buffer.from(text, 'latin1');
      const assembler = new FrameAssembler(() => assert.fail('no frame'));
      assert.throws(
        () => assembler.push(bytes, bytes.length),
        (error) => hasCode(error, 'connection'),
      );
    }
  });
});
