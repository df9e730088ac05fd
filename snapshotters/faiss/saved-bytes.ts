/** Columns and a JSON header as bytes, and back: a length, JSON that names the columns, then the columns end to end. */
import { FreshetError } from '../../runtime/process/errors.js';
import type { NumberColumn } from '../../runtime/tasks/state/columns.js';
import { SavedColumns } from '../../runtime/tasks/state/saved-columns.js';

const KINDS = { Uint8Array, Uint16Array, Int32Array, Float64Array } as const;
const FORM = 'EMBEDCP1';

interface Head {
  readonly form: string;
  readonly said: unknown;
  readonly columns: readonly { readonly name: string; readonly kind: keyof typeof KINDS; readonly bytes: number }[];
}

export function columnsToBytes(said: unknown, columns: ReadonlyMap<string, NumberColumn>): Buffer {
  const pieces = [...columns].map(([name, column]) => ({
    name,
    kind: column.constructor.name,
    bytes: Buffer.from(column.buffer, column.byteOffset, column.byteLength),
  }));
  const named = pieces.map(({ name, kind, bytes }) => ({ name, kind, bytes: bytes.length }));
  const head = Buffer.from(JSON.stringify({ form: FORM, said, columns: named }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(head.length);
  return Buffer.concat([length, head, ...pieces.map(({ bytes }) => bytes)]);
}

/** Errors: FreshetError 'invalid_data' if the bytes have another format. */
export function columnsFrom<T>(bytes: Buffer): { said: T; columns: SavedColumns } {
  try {
    let at = 4 + bytes.readUInt32LE();
    const head = JSON.parse(bytes.toString('utf8', 4, at)) as Head;
    if (head.form !== FORM) throw new Error(`it has the form ${String(head.form)}`);
    const columns = new Map<string, NumberColumn>();
    for (const { name, kind, bytes: length } of head.columns) {
      if (at + length > bytes.length) throw new Error('it is truncated');
      // A copy: columns must be aligned to their item size.
      const copy = Uint8Array.from(bytes.subarray(at, at + length));
      columns.set(name, new KINDS[kind](copy.buffer));
      at += length;
    }
    if (at !== bytes.length) throw new Error('there are bytes after its end');
    return { said: head.said as T, columns: new SavedColumns(columns) };
  } catch (error) {
    throw new FreshetError('invalid_data', 'These are not the bytes of a capture of embeddings.', { cause: error });
  }
}
