/** `freshet skip`: gives up offsets that stop their readers, or lists what was given up. */
import { Command, InvalidArgumentError } from 'commander';
import { InputError } from '../ingest/input-error.js';
import { readSkip, type SkipRequest } from '../ingest/skips.js';
import { openSkipping, type ShownSkip } from './access/skipping.js';
import { confirm } from './confirm.js';
import { localTime } from './local-time.js';
import { type Shell, UsageError } from './shell.js';
import { drawTable } from './table.js';

interface SkipOptions {
  readonly from?: number;
  readonly to?: number;
  readonly reason?: string;
  readonly list?: true;
  readonly yes?: true;
  readonly json?: true;
}

export function skipCommand(shell: Shell): Command {
  return new Command('skip')
    .summary('give up records that stop their readers')
    .description(
      'Gives up a range of offsets of one partition: no reader reads it any more, and tasks that stopped there go on behind it. For records that can be neither read nor repaired; the stopped task, and /health/ready with a token, name the offset. It cannot be taken back, and is kept with its reason.',
    )
    .argument('[topic]')
    .argument('[partition]', 'its number', wholeNumber)
    .option('--from <offset>', 'the first offset to give up', wholeNumber)
    .option('--to <offset>', 'the first offset to read again; default: the one after --from', wholeNumber)
    .option('--reason <text>', 'why; kept with the skip')
    .option('--list', 'skip nothing; show what was given up')
    .option('--yes', 'do not ask')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet skip events 3 --from 5120 --to 5140 --reason "disk error of 3 May"')
    .action(async (topic: string | undefined, partition: number | undefined, options: SkipOptions) => {
      if (options.list) await list(shell, topic, partition, options);
      else await skip(shell, requestOf(topic, partition, options), options);
    });
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a whole number, 0 or more.');
  return Number(text);
}

function requestOf(topic: string | undefined, partition: number | undefined, options: SkipOptions): SkipRequest {
  const { from, reason } = options;
  if (topic === undefined || partition === undefined || from === undefined || reason === undefined)
    throw new UsageError('Give a topic, a partition, --from and --reason; or --list.');
  return checked(() => readSkip({ topic, partition, from, to: options.to ?? from + 1, reason }));
}

function checked<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof InputError) throw new UsageError(error.message);
    throw error;
  }
}

async function skip(shell: Shell, wanted: SkipRequest, options: SkipOptions): Promise<void> {
  const { topic, partition, from, to } = wanted;
  const range = to - from === 1 ? `offset ${from}` : `offsets ${from} to ${to - 1} (${to - from})`;
  if (!options.yes)
    await confirm(
      shell,
      `This gives up ${range} of ${topic}[${partition}] for every reader, permanently`,
      'Nothing was skipped.',
    );
  const access = await openSkipping(shell);
  try {
    const done = await access.request(wanted).catch((error: unknown) =>
      checked(() => {
        throw error;
      }),
    );
    if (options.json) await shell.json(done);
    else await shell.line(`${topic}[${partition}]: ${range} given up in ${access.where}; readers go on at ${to}.`);
  } finally {
    await access.close();
  }
}

async function list(
  shell: Shell,
  topic: string | undefined,
  partition: number | undefined,
  { json }: SkipOptions,
): Promise<void> {
  const access = await openSkipping(shell);
  try {
    const isWanted = (one: ShownSkip) =>
      (topic === undefined || one.topic === topic) && (partition === undefined || one.partition === partition);
    const found = (await access.list()).filter(isWanted);
    if (json) await shell.json({ skips: found });
    else await shell.line(found.length === 0 ? 'Nothing was skipped.' : draw(found));
  } finally {
    await access.close();
  }
}

function draw(skips: readonly ShownSkip[]): string {
  return drawTable(
    ['topic', 'partition', 'from', 'read again from', 'at', 'by', 'reason'],
    skips.map(({ topic, partition, from, to, requested_at, requested_by, reason }) => [
      topic,
      partition,
      from,
      to,
      localTime(new Date(requested_at)),
      requested_by,
      reason,
    ]),
  );
}
