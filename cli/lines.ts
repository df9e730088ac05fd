/** Lines of a stream as bytes: a bad line, even one that is not text, is separated from its neighbours. */
import type { Readable } from 'node:stream';
import { InputError } from '../ingest/input-error.js';
import { parseJson } from '../ingest/json.js';
import { RECORD_BYTES_MAX } from '../runtime/log/log.js';

/** A record's JSON may be longer than the record (escapes); anything much longer cannot be one. */
const LINE_BYTES_MAX = 8 * RECORD_BYTES_MAX;
const LINE_FEED = 0x0a;
const utf8 = new TextDecoder('utf-8', { fatal: true });

export interface Line {
  /** From 1. */
  readonly number: number;
  /** Throws InputError if it is not JSON. */
  parse(): unknown;
}

/** Yields non-empty lines, numbered among all. Ends early, between two lines, when the signal is aborted. */
export async function* readLines(input: Readable, signal?: AbortSignal): AsyncGenerator<Line> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  let number = 0;
  const take = (end: Buffer): Line | null => {
    const bytes = rest.length === 0 ? end : Buffer.concat([...rest, end]);
    const tooLong = restBytes + end.length > LINE_BYTES_MAX;
    rest = [];
    restBytes = 0;
    number++;
    return tooLong ? longLine(number) : lineOf(number, bytes);
  };
  for await (const chunk of untilAborted(input, signal)) {
    let start = 0;
    for (let feed = chunk.indexOf(LINE_FEED); feed !== -1; feed = chunk.indexOf(LINE_FEED, start)) {
      const line = take(chunk.subarray(start, feed));
      start = feed + 1;
      if (line !== null) yield line;
      if (signal?.aborted) return;
    }
    restBytes += chunk.length - start;
    // Past the limit, only the length is tracked.
    if (restBytes <= LINE_BYTES_MAX) rest.push(chunk.subarray(start));
    else rest = [];
  }
  if (restBytes > 0 && !signal?.aborted) {
    const line = take(Buffer.alloc(0));
    if (line !== null) yield line;
  }
}

/** A pipe may be silent indefinitely; a signal must end the wait. */
async function* untilAborted(input: Readable, signal?: AbortSignal): AsyncGenerator<Buffer> {
  const onAbort = () => input.destroy();
  if (signal?.aborted) return;
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const chunk of input) yield chunk as Buffer;
  } catch (error) {
    if (!signal?.aborted) throw error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

function longLine(number: number): Line {
  return {
    number,
    parse() {
      throw new InputError(`The line is longer than ${LINE_BYTES_MAX / 1024 / 1024} MiB.`);
    },
  };
}

function lineOf(number: number, bytes: Buffer): Line | null {
  if (isBlank(bytes)) return null;
  return {
    number,
    parse() {
      let text: string;
      try {
        text = utf8.decode(bytes);
      } catch {
        throw new InputError('The line is not UTF-8.');
      }
      return parseJson(text, 'The line');
    },
  };
}

function isBlank(bytes: Buffer): boolean {
  for (const byte of bytes) if (byte !== 0x20 && byte !== 0x0d && byte !== 0x09) return false;
  return true;
}
