/**
 * `freshet verify`: compares what Redis and Postgres serve with a recount from the raw log. If this command can reach
 * the log and both stores, it does so itself; otherwise the Freshet that holds them does it.
 */
import { Command, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import { openSkips } from '../ingest/skips.js';
import { newSalt, singleAudit } from '../publishing/audit/compose.js';
import { type AuditReport, isClean, type ReportedDifference } from '../publishing/audit/report.js';
import { openReadingCodec } from '../runtime/log/writing-codec.js';
import { systemClock } from '../runtime/process/clock.js';
import { readLock } from '../runtime/process/data-folder.js';
import { FreshetError } from '../runtime/process/errors.js';
import { openStores } from '../runtime/stores/open-stores.js';
import { RUNNING_SETS } from '../topics/running.js';
import { ApiClient } from './access/api-client.js';
import { format, ProgressLine } from './progress.js';
import { Failed, type Shell } from './shell.js';
import { listenForStop } from './stop-signal.js';
import { drawTable } from './table.js';

interface VerifyOptions {
  /** 0 to 1. */
  readonly sample: number;
  readonly salt?: string;
  readonly json?: true;
}

const SAMPLE_DEFAULT = 0.01;
const ASK_MS = 250;
const SHOWN_MAX = 20;

export function verifyCommand(shell: Shell): Command {
  return new Command('verify')
    .summary('compare what is served with a recount from the raw log')
    .description(
      'Reads events from the beginning, recounts a sample of users and products the slow way, and compares it with what Redis and Postgres serve: popularity rows and rankings, affinity rows and hashes, interactions, each at its own time. A difference counts only if it remains after everything that was in the log at the first check has passed. Exit code 1 if something differs, or if nothing could be compared.',
    )
    .addOption(
      new Option('--sample <share>', 'how many of all users and products: a percentage, or "all"')
        .argParser(shareOf)
        .default(SAMPLE_DEFAULT, '1%'),
    )
    .option('--salt <text>', 'chooses the keys; the report shows the salt, and the same salt compares the same keys')
    .option('--json', 'the report as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet verify --sample all')
    .action(async (options: VerifyOptions) => {
      const report = await verify(shell, options);
      if (options.json) await shell.json(report);
      else await print(shell, report);
      const isEmpty = report.behind === null && comparedIn(report) === 0;
      if (isEmpty)
        shell.note(
          'Nothing was compared: no key of the sample is served. Take a larger --sample, or send events first.',
        );
      if (isEmpty || !isClean(report)) throw new Failed();
    });
}

function shareOf(text: string): number {
  if (text === 'all') return 1;
  const percent = /^(\d{1,3}(?:\.\d{1,9})?)%$/.exec(text)?.[1];
  const share = Number(percent) / 100;
  if (!(share > 0 && share <= 1))
    throw new InvalidArgumentError('Give a percentage above 0%, such as 1% or 0.5%, or "all".');
  return share;
}

async function verify(shell: Shell, { sample, salt = newSalt() }: VerifyOptions): Promise<AuditReport> {
  const { KAFKA_BROKERS, REDIS_URL, DATABASE_URL } = shell.settings;
  const progress = new ProgressLine(shell.terminal.errors, 'events read');
  const stop = listenForStop();
  try {
    const reachesAll = KAFKA_BROKERS !== undefined && REDIS_URL !== undefined && DATABASE_URL !== undefined;
    const ask = reachesAll ? here : there;
    return await ask(shell, { share: sample, salt }, progress, stop.signal);
  } catch (error) {
    if (stop.received !== null) throw new Failed();
    throw error;
  } finally {
    progress.end();
    stop.close();
  }
}

function comparedIn({ compared }: AuditReport): number {
  return compared.reduce((sum, { same, different }) => sum + same + different, 0);
}

interface Sample {
  readonly share: number;
  readonly salt: string;
}

async function here(
  { settings, logger }: Shell,
  sample: Sample,
  progress: ProgressLine,
  signal: AbortSignal,
): Promise<AuditReport> {
  const { openKafkaLog } = await import('../runtime/log/kafka/log.js');
  const codec = await openReadingCodec(settings);
  const whole = await openKafkaLog(settings, logger);
  try {
    const { log, skips } = await openSkips({ log: whole, codec, logger, clock: systemClock });
    const stores = await openStores(settings, logger);
    const sources = { log, codec, clock: systemClock, settings, set: RUNNING_SETS.features[0], ...stores };
    const audit = singleAudit(sources, { ...sample, busyShare: 1 }, (records) => progress.add(records));
    try {
      return await audit.compare(signal);
    } finally {
      await audit.close();
      await stores.close();
      await skips.stop();
    }
  } finally {
    await whole.close();
  }
}

const verificationAnswer = z.object({
  verification_id: z.string(),
  status: z.enum(['running', 'done', 'failed']),
  records_read: z.number(),
  report: z.custom<AuditReport>().nullable(),
  error: z.string().nullable(),
});

/** The running Freshet reads its log and its stores; if this command ends early, the work there still finishes. */
async function there(
  { settings }: Shell,
  { share, salt }: Sample,
  progress: ProgressLine,
  signal: AbortSignal,
): Promise<AuditReport> {
  const client = await holderOf(settings.FRESHET_DATA_DIR);
  let answer = verificationAnswer.parse(await client.postJson('/v1/verifications', { sample: share, salt }));
  let read = 0;
  while (answer.status === 'running') {
    await systemClock.sleep(ASK_MS, signal);
    signal.throwIfAborted();
    answer = verificationAnswer.parse(await client.get(`/v1/verifications/${answer.verification_id}`, signal));
    progress.add(answer.records_read - read);
    read = answer.records_read;
  }
  if (answer.report !== null) return answer.report;
  throw new FreshetError(
    'unavailable',
    `The running Freshet could not compare: ${answer.error ?? 'no reason was given'}`,
  );
}

async function holderOf(folder: string): Promise<ApiClient> {
  const holder = await readLock(folder);
  if (holder === null)
    throw new FreshetError(
      'unavailable',
      `Nothing runs on the data folder ${folder}, so nothing is served: start "freshet up" first, or set KAFKA_BROKERS, REDIS_URL and DATABASE_URL.`,
    );
  if (holder.address === undefined)
    throw new FreshetError(
      'locked',
      `Process ${holder.pid} holds the data folder ${folder} but is not listening: try again once it is ready.`,
    );
  return new ApiClient(holder.address, holder.token);
}

async function print(shell: Shell, report: AuditReport): Promise<void> {
  const { sample, compared, differences } = report;
  if (report.behind !== null) {
    shell.note(`error: Nothing could be compared. ${report.behind} ("freshet doctor" checks what it needs.)`);
    return;
  }
  const headers = ['store', 'artefact', 'same', 'different', 'left out', 'pending', 'undecided'];
  await shell.line(
    drawTable(
      headers,
      compared.map((row) => [
        row.store,
        row.artefact,
        row.same,
        row.different,
        row.left_out,
        row.pending,
        row.undecided,
      ]),
    ),
  );
  if (differences.length > 0) {
    await shell.line('');
    await shell.line(
      drawTable(
        ['store', 'artefact', 'key', 'what', 'served', 'expected', 'as of'],
        differences.slice(0, SHOWN_MAX).map(rowOf),
      ),
    );
    if (differences.length > SHOWN_MAX)
      await shell.line(`… and ${differences.length - SHOWN_MAX} more (--json lists them).`);
  }
  await shell.line('');
  await shell.line(
    `${format(report.records_read)} events read in ${report.duration_seconds.toFixed(1)} s; ` +
      `${format(sample.users)} users and ${format(sample.products)} products (salt ${sample.salt}); ` +
      `largest relative error ${report.largest_relative_error.toExponential(1)}.`,
  );
  await shell.line(isClean(report) ? 'No differences.' : 'The served values differ from the log.');
}

function rowOf(difference: ReportedDifference): string[] {
  const { store, artefact, key, what, served, expected, as_of } = difference;
  return [store, artefact, key, what, shown(served), shown(expected), as_of ?? '-'];
}

function shown(value: string | number | null): string {
  return value === null ? 'nothing' : String(value);
}
