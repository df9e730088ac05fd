/** `freshet snapshot`: builds a new version of an artefact from the topics, or shows what would change. */
import { Command } from 'commander';
import { SNAPSHOT_JOBS } from '../assembly/snapshotters.js';
import type { Run } from '../jobs/runs.js';
import { FreshetError } from '../runtime/process/errors.js';
import { openPublications } from './access/open-publications.js';
import type { Publications } from './access/publications.js';
import { format, Steps } from './progress.js';
import { Failed, type Shell, UsageError } from './shell.js';
import { listenForStop, type StopSignal } from './stop-signal.js';

interface SnapshotOptions {
  readonly dryRun?: true;
  /** False with --no-wait. */
  readonly wait: boolean;
  readonly json?: true;
}

const PHASES: Readonly<Record<string, string>> = {
  capture: 'reading topics',
  build: 'building',
  publish: 'publishing',
};
/** After this long, a run that no process has taken is reported. */
const UNTAKEN_MS = 10_000;

export function snapshotCommand(shell: Shell): Command {
  return new Command('snapshot')
    .summary('build a new version from the topics')
    .description(
      'Reads the topics of an artefact to their current end, builds the next version, checks and publishes it: readers switch over at once, and stay on the previous version if anything fails. A running Freshet does the work if there is one; otherwise this command does it.',
    )
    .argument('<artefact>', SNAPSHOT_JOBS.join(', '))
    .option('--dry-run', 'publish nothing, show what would change')
    .option('--no-wait', 'exit once the run is requested')
    .option('--json', 'print the run as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet snapshot stopwords --dry-run')
    .action(async (job: string, options: SnapshotOptions) => {
      if (!SNAPSHOT_JOBS.includes(job))
        throw new UsageError(`There is no snapshot of ${job}; there are ${SNAPSHOT_JOBS.join(', ')}.`);
      const publications = await openPublications(shell);
      try {
        if (options.wait) await runToEnd(shell, publications, job, options);
        else await ask(shell, publications, job, options);
      } finally {
        await publications.close();
      }
    });
}

async function ask(shell: Shell, publications: Publications, job: string, options: SnapshotOptions): Promise<void> {
  const run = await publications.request(job, options.dryRun === true);
  if (options.json) await shell.json(run);
  else await shell.line(`Run ${run.run_id} is requested in ${publications.where}.`);
  if (publications.idle !== null) shell.note(publications.idle);
}

async function runToEnd(
  shell: Shell,
  publications: Publications,
  job: string,
  options: SnapshotOptions,
): Promise<void> {
  const stop = listenForStop();
  const steps = new Steps(shell.terminal.errors);
  const untaken = new Untaken(shell, job);
  let run: Run;
  try {
    run = await publications.run(
      job,
      options.dryRun === true,
      (progress) => {
        if (progress === null) untaken.wait(steps);
        else steps.at(PHASES[progress.phase] ?? progress.phase, progress.done, progress.total);
      },
      stop.signal,
    );
  } finally {
    steps.end();
    stop.close();
  }
  if (options.json) await shell.json(run);
  else await print(shell, run);
  conclude(shell, publications, run, stop);
}

/** A process must be there to take a run; a waiting caller should know if there is none. */
class Untaken {
  readonly #shell: Shell;
  readonly #job: string;
  readonly #since = performance.now();
  #hinted = false;

  constructor(shell: Shell, job: string) {
    this.#shell = shell;
    this.#job = job;
  }

  wait(steps: Steps): void {
    steps.at('waiting for its turn', 0, null);
    if (this.#hinted || performance.now() - this.#since < UNTAKEN_MS) return;
    this.#hinted = true;
    steps.end();
    this.#shell.note(
      `No process has taken the run yet: another run is in progress, or no process has the role snapshotter:${this.#job}.`,
    );
  }
}

async function print(shell: Shell, run: Run): Promise<void> {
  const result = run.result ?? {};
  for (const line of linesOf(result['summary'])) await shell.line(line);
  if (run.status !== 'succeeded') return;
  if (run.dry_run) await shell.line('A dry run: nothing was published.');
  else await shell.line(outcomeOf(run.job_name, result));
}

function outcomeOf(job: string, result: Readonly<Record<string, unknown>>): string {
  const { version, version_state: state, duration_seconds: seconds } = result;
  const { stopwords_updated: words, products_indexed: products } = result;
  const { documents_processed: documents, records_processed: records } = result;
  const number = (value: unknown, what: string) => (typeof value === 'number' ? `${format(value)} ${what}` : null);
  const what = number(words, 'words') ?? number(products, 'products');
  const source = number(documents, 'documents') ?? (job === 'als' ? number(records, 'pairs') : null);
  const made = what === null ? '' : `: ${what}`;
  const from = source === null ? '' : ` from ${source}`;
  const took = typeof seconds === 'number' ? ` in ${seconds.toFixed(1)} s` : '';
  const end = ENDS[state as string] ?? 'is published';
  return `Version ${String(version)} of ${job} ${end}${made}${from}${took}.`;
}

/** Endings for a successful run whose version is not the current one. */
const ENDS: Readonly<Record<string, string>> = {
  verified: 'is not current, because another one is pinned',
  retired: 'was published, but another one has followed since',
};

/** Throws unless the run has succeeded. */
function conclude(shell: Shell, { where }: Publications, run: Run, stop: StopSignal): void {
  if (run.status === 'succeeded') return;
  if (run.finished_at === null) {
    shell.note(`Stopped by ${stop.received ?? 'a signal'}: run ${run.run_id} continues in ${where}.`);
    throw new Failed();
  }
  const errors = linesOf(run.result?.['errors']);
  const why = errors.length > 0 ? errors.join(' ') : 'it gave no reason.';
  const what = run.status === 'failed' ? 'failed' : `was ${run.status}`;
  throw new FreshetError('state', `Run ${run.run_id} of ${run.job_name} ${what}: ${why}`);
}

function linesOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((line) => typeof line === 'string') : [];
}
