/** A replacement for the embedder's thread: reports that it is ready, dies on request, answers everything else. */
import { parentPort } from 'node:worker_threads';
import type { FromThread, ToThread } from '../../../../../runtime/models/embedder/messages.js';

const port = parentPort!;
const say = (message: FromThread) => port.postMessage(message);

port.on('message', (message: ToThread) => {
  if (message.type === 'close') port.close();
  if (message.type !== 'embed') return;
  if (message.texts.includes('die')) process.exit(7);
  say({ type: 'vectors', id: message.id, vectors: Float32Array.of(1) });
});
say({ type: 'ready', info: { model: 'stand-in', dimension: 1, kind: 'hashed' } });
