/** `freshet produce`: records from JSON lines into a topic, each checked before it is written. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { Command } from 'commander';
import { InputError } from '../ingest/input-error.js';
import { type InputKind, inputKinds } from '../ingest/records.js';
import { FreshetError, messageOf } from '../runtime/process/errors.js';
import type { LineProblem, RecordSink } from './access/access.js';
import { openLogAccess } from './access/open.js';
import { readLines } from './lines.js';
import { format, ProgressLine } from './progress.js';
import { Failed, type Shell, UsageError } from './shell.js';
import { listenForStop } from './stop-signal.js';

interface ProduceOptions {
  readonly skipBad?: true;
  readonly json?: true;
}

/** The result for the lines read. */
interface Outcome {
  written: number;
  rejected: number;
  /** The first problems; all of them are printed as they occur. */
  readonly errors: LineProblem[];
}

const ERRORS_IN_SUMMARY_MAX = 1_000;
/** With fewer records, writing takes less time than the start. */
const RATE_SHOWN_FROM = 10_000;

export function produceCommand(shell: Shell): Command {
  return new Command('produce')
    .summary('write records from JSON lines to a topic')
    .description(
      'Writes records from JSON lines: one record of the topic in each line, or {"key", "value"}, where a null value deletes the key. The key comes from the record; times are ISO 8601 or milliseconds.',
    )
    .argument('<topic>', `one of ${[...inputKinds.keys()].join(', ')}`)
    .argument('<file>', 'a file with one JSON object per line, or - for standard input')
    .option('--skip-bad', 'continue after a bad line (by default the first one ends the command)')
    .option('--json', 'print the summary as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet produce events purchases.jsonl')
    .action(async (topic: string, file: string, options: ProduceOptions) => {
      await produce(shell, kindOf(topic), file, options);
    });
}

function kindOf(topic: string): InputKind {
  const kind = inputKinds.get(topic);
  if (kind === undefined)
    throw new UsageError(`Producers write ${[...inputKinds.keys()].join(', ')}; ${topic} is not one of them.`);
  return kind;
}

async function produce(shell: Shell, kind: InputKind, file: string, options: ProduceOptions): Promise<void> {
  const input = await openInput(shell, file);
  const stop = listenForStop();
  const progress = new ProgressLine(shell.terminal.errors, 'records');
  const outcome: Outcome = { written: 0, rejected: 0, errors: [] };
  try {
    const access = await openLogAccess(shell, { writes: [kind.topic] });
    try {
      const sink = await access.sink(kind);
      try {
        await writeLines(shell, input, sink, options.skipBad === true, stop.signal, progress, outcome);
      } finally {
        await sink.close();
      }
    } finally {
      await access.close();
    }
  } finally {
    progress.end();
    stop.close();
    input.destroy();
  }
  await summarise(shell, kind.topic, options, outcome, progress.rate());
  if (stop.received !== null) shell.note(`Stopped by ${stop.received}: the following lines were not read.`);
  if (outcome.rejected > 0 || stop.received !== null) throw new Failed();
}

async function openInput(shell: Shell, file: string): Promise<Readable> {
  if (file === '-') return shell.terminal.input;
  try {
    if ((await stat(file)).isDirectory()) throw new UsageError(`${file} is a folder, not a file of JSON lines.`);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${file} cannot be read: ${messageOf(error)}.`);
  }
  return createReadStream(file, { highWaterMark: 1024 * 1024 });
}

/** Reads, checks and writes until the end, the first bad line, or a signal. */
async function writeLines(
  shell: Shell,
  input: Readable,
  sink: RecordSink,
  skipBad: boolean,
  signal: AbortSignal,
  progress: ProgressLine,
  outcome: Outcome,
): Promise<void> {
  const reject = (problem: LineProblem) => {
    outcome.rejected++;
    if (outcome.errors.length < ERRORS_IN_SUMMARY_MAX) outcome.errors.push(problem);
    progress.end();
    shell.note(`line ${problem.line}: ${problem.error}`);
  };
  const flush = async () => {
    const waiting = sink.waiting;
    try {
      const { written, rejected } = await sink.flush();
      outcome.written += written;
      progress.add(written);
      rejected.forEach(reject);
    } catch (error) {
      throw interrupted(error, outcome.written, waiting);
    }
  };
  for await (const line of readLines(input, signal)) {
    try {
      sink.add(line.number, line.parse());
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      reject({ line: line.number, error: error.message });
    }
    if (sink.isFull) await flush();
    if (outcome.rejected > 0 && !skipBad) break;
  }
  await flush();
}

/** States what a failed write leaves open: the caller decides whether repeating is harmless. */
function interrupted(error: unknown, written: number, waiting: number): FreshetError {
  const code = error instanceof FreshetError ? error.code : 'internal';
  const open = waiting === 0 ? '' : `; it is unknown whether the next ${format(waiting)} were`;
  return new FreshetError(code, `${messageOf(error)} (${format(written)} records were written before${open}.)`, {
    cause: error,
  });
}

async function summarise(
  shell: Shell,
  topic: string,
  options: ProduceOptions,
  { written, rejected, errors }: Outcome,
  rate: number,
): Promise<void> {
  if (options.json) {
    await shell.json({ topic, written, rejected, errors });
    return;
  }
  const bad = rejected === 0 ? '' : `, ${format(rejected)} bad ${rejected === 1 ? 'line' : 'lines'} not`;
  const speed = written > RATE_SHOWN_FROM ? ` (${format(rate)}/s)` : '';
  await shell.line(`${format(written)} ${written === 1 ? 'record' : 'records'} written to ${topic}${bad}${speed}.`);
  if (rejected > 0 && !options.skipBad)
    shell.note('Stopped at the bad line: correct it, or skip such lines with --skip-bad.');
}
