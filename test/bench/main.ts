/** `npm run bench [-- name...]`: runs benches in turn and prints their tables; `--json FILE` keeps the figures. */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, platform, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { als } from './als.js';
import { batch } from './batch.js';
import type { Bench, BenchOptions, Report } from './bench.js';
import { corpus } from './corpus.js';
import { embeddings } from './embeddings.js';
import { engine } from './engine.js';
import { faiss } from './faiss.js';
import { latency } from './latency.js';
import { midnight } from './midnight.js';
import { modelStores } from './model-stores.js';
import { rebuild } from './rebuild.js';
import { restart } from './restart.js';
import { serving } from './serving.js';
import { snapshot } from './snapshot.js';
import { soak } from './soak.js';
import { stopwords } from './stopwords.js';
import { stores } from './stores.js';
import { tableOf } from './table.js';
import { twelve } from './twelve.js';
import { versions } from './versions.js';
import { wire } from './wire.js';

const BENCHES: readonly Bench[] = [
  engine,
  corpus,
  latency,
  rebuild,
  wire,
  stores,
  versions,
  snapshot,
  midnight,
  restart,
  twelve,
  stopwords,
  als,
  modelStores,
  embeddings,
  faiss,
  serving,
  batch,
  soak,
];

const HELP = `npm run bench [-- NAME... --events N --users N --products N --seed N --rate N --peer --kafka --json FILE]

${BENCHES.map(({ name, what }) => `  ${name.padEnd(9)} ${what}`).join('\n')}

Without a name all are run; --peer adds the same job as a Kafka Streams program (needs Java and Maven); --kafka adds the corpus on real Kafka. Figures are never judged by a test: they depend on the machine.
`;

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      events: { type: 'string' },
      users: { type: 'string' },
      products: { type: 'string' },
      seed: { type: 'string', default: '1' },
      rate: { type: 'string' },
      peer: { type: 'boolean', default: false },
      kafka: { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const unknown = positionals.filter((name) => !BENCHES.some((bench) => bench.name === name));
  if (unknown.length > 0) throw new Error(`No bench is called ${unknown.join(' or ')}.\n\n${HELP}`);
  const options: BenchOptions = {
    events: count('events', values.events),
    users: count('users', values.users),
    products: count('products', values.products),
    seed: count('seed', values.seed) ?? 1,
    rate: count('rate', values.rate),
    peer: values.peer,
    kafka: values.kafka,
    say: (line) => process.stderr.write(`  … ${line}\n`),
  };
  const results: { bench: string; at: string; reports: Report[] }[] = [];
  for (const bench of BENCHES) {
    if (positionals.length > 0 && !positionals.includes(bench.name)) continue;
    process.stderr.write(`${bench.name}: ${bench.what}\n`);
    const at = new Date().toISOString();
    const reports = await bench.run(options);
    for (const report of reports) process.stdout.write(`${tableOf(report)}\n`);
    results.push({ bench: bench.name, at, reports });
    if (values.json !== undefined)
      await writeFile(values.json, `${JSON.stringify({ machine: machine(), results }, null, 2)}\n`);
  }
  return 0;
}

function count(name: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const value = Number(text.replaceAll('_', ''));
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`--${name} must be a whole number above 0, not "${text}".`);
  return value;
}

function machine(): Record<string, string | number> {
  return {
    platform: platform(),
    cores: availableParallelism(),
    processor: cpus()[0]?.model ?? 'unknown',
    memory_gib: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  },
);
