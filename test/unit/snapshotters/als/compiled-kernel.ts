/**
 * Compiles snapshotters/als/kernel.as and writes the result to kernel-bytes.ts:
 *
 *   npm run build && node dist/test/unit/snapshotters/als/compiled-kernel.js
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';
import { projectRoot } from '../../../../schemas/project-root.js';

const SOURCE = join(projectRoot, 'snapshotters/als/kernel.as');
const TARGET = join(projectRoot, 'snapshotters/als/kernel-bytes.ts');
const LINE = 100;
const OPTIONS = [
  ['--outFile', 'kernel.wasm'],
  ['--runtime', 'stub'],
  ['--importMemory', '--sharedMemory', '--noExportMemory', '--zeroFilledMemory'],
  ['--initialMemory', '1'],
  ['--maximumMemory', '65536'],
  ['--enable', 'simd', '--enable', 'threads'],
  ['-O3', '--converge', '--noAssert'],
].flat();

/** What kernel-bytes.ts must be, given the current source. Throws the compiler's errors. */
export async function compiledKernel(): Promise<string> {
  const source = await readFile(SOURCE, 'utf8');
  let wasm: Uint8Array | null = null;
  const { error, stderr } = await asc.main(['kernel.ts', ...OPTIONS], {
    readFile: (name) => (name === 'kernel.ts' ? source : null),
    writeFile: (_, contents) => {
      wasm = contents as Uint8Array;
    },
    listFiles: () => [],
  });
  if (error !== null || wasm === null) throw new Error(`kernel.as does not compile: ${stderr.toString()}`);
  const text = Buffer.from(wasm).toString('base64');
  const lines = text.match(new RegExp(`.{1,${LINE}}`, 'g'))!;
  return [
    '/** kernel.as compiled: written by test/unit/snapshotters/als/compiled-kernel.ts, never by hand. */',
    'export const KERNEL_BYTES =',
    `${lines.map((line) => `  '${line}'`).join(' +\n')};\n`,
  ].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(TARGET, await compiledKernel());
