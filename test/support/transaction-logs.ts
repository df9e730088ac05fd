/** What a power failure may leave of a transaction log: anything after its last durable mark can be missing. */
import { decodeTransactionLog } from '../../runtime/log/embedded/transaction-log.js';

/** Where the notes begin that no durable mark covers. */
export function unsafeFrom(bytes: Buffer): number {
  let end = bytes.length;
  for (;;) {
    const contents = decodeTransactionLog(bytes.subarray(0, end))!;
    const last = contents.notes.at(-1);
    if (last === undefined || last.commit <= contents.durableCommit) return contents.end;
    end = contents.end - 1;
  }
}
