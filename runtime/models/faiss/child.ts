/**
 * A process that runs FAISS. It serves one index, or builds one; it ends with its parent. All arguments were checked
 * before they got here, because FAISS ends the process on a wrong one.
 */
import { FreshetError, messageOf } from '../../process/errors.js';
import { openEngine, type SearchEngine } from './engines.js';
import { buildWithFaiss } from './index-builder.js';
import type { FromIndexChild, ToIndexChild } from './messages.js';
import { verifyFile } from './verify-file.js';

const PROGRESS_MS = 100;

let engine: SearchEngine | null = null;
let sentAtMs = Number.NEGATIVE_INFINITY;

process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole process group; the parent decides when to stop.
process.on('SIGINT', () => undefined);
process.on('message', (message: ToIndexChild) => {
  answer(message).catch((error: unknown) => {
    const code = error instanceof FreshetError ? error.code : 'internal';
    send({ kind: 'failed', code, message: messageOf(error) });
  });
});

async function answer(message: ToIndexChild): Promise<void> {
  if (message.kind === 'open') {
    for (const file of message.verify) await verifyFile(file);
    engine = await openEngine(message.path, message.engine);
    send({ kind: 'ready', engine: engine.engine, dimension: engine.dimension, count: engine.count });
  } else if (message.kind === 'build') {
    await buildWithFaiss(message.plan, tellProgress);
    send({ kind: 'built' });
  } else {
    if (engine === null) throw new FreshetError('internal', 'a search arrived before its index');
    send({ kind: 'found', ...engine.search(message.vectors, message.queries, message.k) });
  }
}

function tellProgress(phase: string, done: number, total: number): void {
  const now = performance.now();
  if (done !== 0 && done !== total && now - sentAtMs < PROGRESS_MS) return;
  sentAtMs = now;
  send({ kind: 'progress', phase, done, total });
}

function send(message: FromIndexChild): void {
  process.send?.(message, undefined, undefined, () => undefined);
}
