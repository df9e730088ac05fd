/** `freshet model`: prepares a sentence-transformers folder for EMBEDDING_MODEL_DIR. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { type ImportedModel, importModel } from '../runtime/models/embedder/import/import-model.js';
import { format, Steps } from './progress.js';
import type { Shell } from './shell.js';

interface ImportOptions {
  readonly dryRun?: true;
  readonly replace?: true;
  readonly json?: true;
}

export function modelCommand(shell: Shell): Command {
  return new Command('model')
    .description('Prepares models that turn texts into vectors.')
    .addCommand(importCommand(shell));
}

function importCommand(shell: Shell): Command {
  return new Command('import')
    .summary('turn model.safetensors into model.onnx')
    .description(
      'Reads model.safetensors and config.json of a BERT encoder in the layout of sentence-transformers and writes model.onnx next to them, including pooling and L2 norm. The new file is compared with a float64 reference before it gets its name.',
    )
    .argument('<folder>', 'the folder that EMBEDDING_MODEL_DIR will name')
    .option('--dry-run', 'write nothing, only show what was found')
    .option('--replace', 'overwrite model.onnx if it exists')
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet model import models/all-MiniLM-L6-v2')
    .action(async (folder: string, { dryRun, replace, json }: ImportOptions) => {
      const steps = new Steps(shell.terminal.errors);
      let model: ImportedModel;
      try {
        steps.at('importing', 0, null);
        model = await importModel({ folder: resolve(folder), dryRun: dryRun === true, replace: replace === true });
      } finally {
        steps.end();
      }
      if (json) await shell.json(model);
      else await shell.line(describe(model, resolve(folder)));
    });
}

function describe(
  { name, config, parameters, pooling, tokensMax, opset, file, bytes, cosine }: ImportedModel,
  folder: string,
): string {
  const size = `${(bytes / 1e6).toFixed(1)} MB`;
  return [
    `${name}: BERT, ${config.layers} layers, ${config.hidden} dimensions, ${config.heads} heads, ${format(config.vocabulary)} words, ${format(parameters)} parameters`,
    `  texts up to ${tokensMax} tokens, ${pooling} pooling, ONNX opset ${opset}, ${size}`,
    cosine === null
      ? `A dry run: ${file} was not written.`
      : `${file} is written; cosine with the reference ${cosine.toFixed(8)}. Set EMBEDDING_MODEL_DIR=${folder}`,
  ].join('\n');
}
