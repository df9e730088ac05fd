/** A small model in a separate process, which reports which kernel built it. */
import { makeModel } from '../../../../snapshotters/als/model.js';
import { addRows, emptyCapture, MODEL, tasteRows } from './scene.js';

const captured = addRows(emptyCapture(), tasteRows(1, 60, 40, 8));
const { host, users, products } = await makeModel({ settings: MODEL, captured });
await host.close();
process.stdout.write(JSON.stringify({ kernel: host.kind, notFinite: users.notFinite + products.notFinite }));
