/** Columns as one run of bytes and back: `count | per column: type, name length, bytes | names and contents`, little endian. */
import { FreshetError } from '../../runtime/process/errors.js';
import type { NumberColumn } from '../../runtime/tasks/state/columns.js';
import { SavedColumns } from '../../runtime/tasks/state/saved-columns.js';

const MAGIC = Buffer.from('ALSCAPT1', 'latin1');
const TYPES = [Float64Array, Int32Array, Uint32Array, Uint16Array, Uint8Array] as const;
/** Type u32, length of the name u32, bytes u64. */
const ENTRY = 16;

export function packColumns({ entries }: SavedColumns): Buffer {
  const pieces: Buffer[] = [MAGIC];
  const head = Buffer.alloc(4 + entries.size * ENTRY);
  head.writeUInt32LE(entries.size);
  pieces.push(head);
  let at = 4;
  for (const [name, column] of entries) {
    const text = Buffer.from(name);
    head.writeUInt32LE(
      TYPES.findIndex((type) => column instanceof type),
      at,
    );
    head.writeUInt32LE(text.length, at + 4);
    head.writeBigUInt64LE(BigInt(column.byteLength), at + 8);
    at += ENTRY;
    pieces.push(text, Buffer.from(column.buffer, column.byteOffset, column.byteLength));
  }
  return Buffer.concat(pieces);
}

/** Errors: FreshetError 'invalid_data' if the bytes do not come from `packColumns`. */
export function unpackColumns(bytes: Buffer): SavedColumns {
  if (bytes.length < MAGIC.length + 4 || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw damaged();
  const count = bytes.readUInt32LE(MAGIC.length);
  let entry = MAGIC.length + 4;
  let at = entry + count * ENTRY;
  if (at > bytes.length) throw damaged();
  const columns = new Map<string, NumberColumn>();
  for (let i = 0; i < count; i++, entry += ENTRY) {
    const type = TYPES[bytes.readUInt32LE(entry)];
    const nameEnd = at + bytes.readUInt32LE(entry + 4);
    const end = nameEnd + Number(bytes.readBigUInt64LE(entry + 8));
    if (type === undefined || end > bytes.length || (end - nameEnd) % type.BYTES_PER_ELEMENT !== 0) throw damaged();
    const content = new Uint8Array(bytes.subarray(nameEnd, end));
    columns.set(bytes.toString('utf8', at, nameEnd), new type(content.buffer as ArrayBuffer));
    at = end;
  }
  if (at !== bytes.length) throw damaged();
  return new SavedColumns(columns);
}

function damaged(): FreshetError {
  return new FreshetError('invalid_data', 'these bytes are not a capture of interactions');
}
