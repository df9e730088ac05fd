import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { type Line, readLines } from '../../../cli/lines.js';
import { InputError } from '../../../ingest/input-error.js';

async function linesOf(chunks: readonly (string | Buffer)[]): Promise<{ number: number; says: unknown }[]> {
  const found = [];
  for await (const line of readLines(Readable.from(chunks.map((chunk) => Buffer.from(chunk)))))
    found.push({ number: line.number, says: parsed(line) });
  return found;
}

function parsed(line: Line): unknown {
  try {
    return line.parse();
  } catch (error) {
    assert.ok(error instanceof InputError);
    return error.message;
  }
}

describe('readLines', () => {
  it('numbers all lines and skips blank ones', async () => {
    assert.deepEqual(await linesOf(['{"a":1}\n\n  \r\n{"a":2}\r\n{"a":3}']), [
      { number: 1, says: { a: 1 } },
      { number: 4, says: { a: 2 } },
      { number: 5, says: { a: 3 } },
    ]);
  });

  it('joins lines across chunks, wherever they are split', async () => {
    const text = Buffer.from('{"a":"ä€😀"}\n[1]\n"x"\n');
    for (let cut = 1; cut < text.length; cut++) {
      const found = await linesOf([text.subarray(0, cut), text.subarray(cut)]);
      assert.deepEqual(
        found.map(({ says }) => says),
        [{ a: 'ä€😀' }, [1], 'x'],
      );
    }
  });

  it('ignores a byte order mark', async () => {
    assert.deepEqual(await linesOf(['\ufeff{"a":1}']), [{ number: 1, says: { a: 1 } }]);
  });

  it('rejects only the line that is not JSON, or not UTF-8', async () => {
    const bad = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}\n')]);
    assert.deepEqual(await linesOf(['1\n{"a":\n', bad, '2\n']), [
      { number: 1, says: 1 },
      { number: 2, says: 'The line is not JSON.' },
      { number: 3, says: 'The line is not UTF-8.' },
      { number: 4, says: 2 },
    ]);
  });

  it('keeps only the length of an endless line', async () => {
    const megabyte = Buffer.alloc(1024 * 1024, 0x20);
    megabyte[0] = 0x22;
    const chunks = [...Array.from({ length: 6 }, () => megabyte), Buffer.from('\n7\n')];
    assert.deepEqual(await linesOf(chunks), [
      { number: 1, says: 'The line is longer than 4 MiB.' },
      { number: 2, says: 7 },
    ]);
  });

  it('ends between two lines on request, also while the input is silent', async () => {
    const stop = new AbortController();
    const input = new PassThrough();
    input.write('1\n2\n3\n');
    const found: number[] = [];
    for await (const line of readLines(input, stop.signal)) {
      found.push(line.number);
      if (line.number === 2) stop.abort();
    }
    assert.deepEqual(found, [1, 2]);
    const silent = new PassThrough();
    const later = new AbortController();
    const reading = readLines(silent, later.signal).next();
    later.abort();
    assert.equal((await reading).done, true);
  });
});
