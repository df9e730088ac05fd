/** `freshet model import`, as a user sees it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { Command } from 'commander';
import { modelCommand } from '../../../cli/model.js';
import { Shell } from '../../../cli/shell.js';
import { withTinyModel } from '../runtime/models/embedder/tiny-model.js';

async function run(...args: string[]): Promise<string> {
  let output = '';
  const sink = () =>
    new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        output += chunk.toString();
        done();
      },
    });
  const shell = new Shell({ environment: {}, input: Readable.from([]), output: sink(), errors: sink() });
  await new Command('freshet').addCommand(modelCommand(shell)).parseAsync(['model', ...args], { from: 'user' });
  return output;
}

test('model import reports what it found and which setting to use, and writes model.onnx once', () =>
  withTinyModel({}, async ({ folder }) => {
    const file = join(folder, 'model.onnx');
    const dry = await run('import', folder, '--dry-run');
    assert.match(dry, /for-tests: BERT, 2 layers, 16 dimensions, 4 heads/);
    assert.match(dry, /texts up to 12 tokens, mean pooling, ONNX opset 17/);
    assert.match(dry, /A dry run/);
    assert.ok(!existsSync(file));
    const done = await run('import', folder);
    assert.ok(done.includes(`EMBEDDING_MODEL_DIR=${folder}`));
    assert.ok(existsSync(file));
    await assert.rejects(run('import', folder), /--replace overwrites it/);
    const json = JSON.parse(await run('import', folder, '--replace', '--json')) as { cosine: number };
    assert.ok(json.cosine > 0.9999);
  }));
