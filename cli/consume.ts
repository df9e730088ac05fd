/** `freshet consume`: records of a topic, decoded. */
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { FreshetError, messageOf } from '../runtime/process/errors.js';
import { decoderOf } from '../schemas/codec.js';
import { plain, type RawRecord } from '../serving/reading/decode.js';
import type { Position } from '../serving/reading/raw-reader.js';
import type { TopicState } from '../serving/reading/topic-states.js';
import type { LogAccess, ReadAnswer } from './access/access.js';
import { openLogAccess } from './access/open.js';
import { Failed, type Shell, UsageError } from './shell.js';
import { listenForStop } from './stop-signal.js';

interface ConsumeOptions {
  readonly fromBeginning?: true;
  readonly partition?: number;
  readonly limit?: number;
  readonly follow?: true;
  readonly schema?: string;
  readonly json?: true;
  /** Made of `schema`. */
  readonly decode?: (record: RawRecord) => RawRecord;
}

const NEWEST_DEFAULT = 10;
const PAGE_RECORDS = 10_000;
const FOLLOW_WAIT_MS = 5_000;

export function consumeCommand(shell: Shell): Command {
  return new Command('consume')
    .summary('print records of a topic')
    .description(
      `Prints the newest records of a topic (${NEWEST_DEFAULT}, or as many as --limit says), oldest first. With --from-beginning, prints all of them; with --follow, those that arrive from now on, until Ctrl-C.`,
    )
    .argument('<topic>', 'see "freshet topics list"')
    .option('--from-beginning', 'begin with the oldest record')
    .addOption(new Option('--partition <number>', 'only this partition').argParser(natural))
    .addOption(new Option('--limit <count>', 'stop after this many records').argParser(positive))
    .option('--follow', 'wait for further records')
    .option('--schema <file.avsc>', 'for a topic of your own: the schema of its values, unless a registry has it')
    .option('--json', 'one JSON object per line')
    .addHelpText('after', '\nExample:\n  $ freshet consume events --limit 3')
    .action(async (topic: string, options: ConsumeOptions) => {
      const access = await openLogAccess(shell);
      try {
        await consume(shell, access, topic, options);
      } finally {
        await access.close();
      }
    });
}

function natural(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of at least 0.');
  return Number(text);
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of at least 1.');
  return Number(text);
}

async function consume(shell: Shell, access: LogAccess, name: string, given: ConsumeOptions): Promise<void> {
  const options = given.schema === undefined ? given : { ...given, decode: decodedWith(given.schema) };
  const topic = await existingTopic(shell, access, name);
  const partitions = topic.offsets.filter(
    ({ partition }) => options.partition === undefined || partition === options.partition,
  );
  if (partitions.length === 0)
    throw new UsageError(`Topic ${name} has the partitions 0 to ${topic.partitions - 1}, not ${options.partition}.`);
  const stop = listenForStop();
  try {
    const chosen = { ...topic, offsets: partitions };
    if (options.fromBeginning || options.follow) await printOnwards(shell, access, chosen, options, stop.signal);
    else await printNewest(shell, access, chosen, options, stop.signal);
  } finally {
    stop.close();
  }
  // Ctrl-C is the way to end --follow; everything else was interrupted by it.
  if (stop.received !== null && !options.follow) throw new Failed();
}

async function existingTopic(shell: Shell, access: LogAccess, name: string): Promise<TopicState> {
  const topics = await access.topics();
  const topic = topics.find((candidate) => candidate.name === name);
  if (topic === undefined)
    throw new UsageError(`There is no topic ${name}; the topics are ${topics.map((known) => known.name).join(', ')}.`);
  if (topic.partitions > 0) return topic;
  shell.note(`error: Topic ${name} does not exist in ${access.where} yet: run "freshet topics apply" first.`);
  throw new Failed();
}

/** From the beginning or from now on, up to the current end or indefinitely. */
async function printOnwards(
  shell: Shell,
  access: LogAccess,
  topic: TopicState,
  options: ConsumeOptions,
  signal: AbortSignal,
): Promise<void> {
  let positions: readonly Position[] = topic.offsets.map(({ partition, earliest, last_stable }) => ({
    partition,
    offset: options.fromBeginning ? earliest : last_stable,
  }));
  const ends = new Map(topic.offsets.map(({ partition, last_stable }) => [partition, last_stable]));
  const isBehind = () => positions.some(({ partition, offset }) => offset < ends.get(partition)!);
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  while (left > 0 && !signal.aborted && (options.follow || isBehind())) {
    const limit = Math.min(left, PAGE_RECORDS);
    const answer = await readUnlessStopped(
      access,
      topic.name,
      positions,
      limit,
      options.follow ? FOLLOW_WAIT_MS : 0,
      signal,
    );
    if (answer === null) return;
    positions = answer.next;
    const records = options.follow
      ? answer.records
      : answer.records.filter(({ partition, offset }) => offset < ends.get(partition)!);
    await print(shell, records, options);
    left -= records.length;
  }
}

/**
 * Offsets are not counts: there are control records and compacted ones in between. So each partition is read from
 * further and further back until there are enough records.
 */
async function printNewest(
  shell: Shell,
  access: LogAccess,
  topic: TopicState,
  options: ConsumeOptions,
  signal: AbortSignal,
): Promise<void> {
  const wanted = options.limit ?? NEWEST_DEFAULT;
  const found: RawRecord[] = [];
  for (const { partition, earliest, last_stable: end } of topic.offsets) {
    for (let back = 2 * wanted + 10; ; back *= 4) {
      const start = Math.max(earliest, end - back);
      const records = await readRange(access, topic.name, partition, start, end, signal);
      if (signal.aborted) return;
      if (records.length >= wanted || start === earliest) {
        found.push(...records.slice(-wanted));
        break;
      }
    }
  }
  found.sort(
    (a, b) => Date.parse(a.timestamp) - Date.parse(b.timestamp) || a.partition - b.partition || a.offset - b.offset,
  );
  await print(shell, found.slice(-wanted), options);
}

async function readRange(
  access: LogAccess,
  topic: string,
  partition: number,
  start: number,
  end: number,
  signal: AbortSignal,
): Promise<RawRecord[]> {
  const records: RawRecord[] = [];
  let positions: readonly Position[] = [{ partition, offset: start }];
  while (positions[0]!.offset < end) {
    const answer = await readUnlessStopped(access, topic, positions, PAGE_RECORDS, 0, signal);
    if (answer === null) return records;
    positions = answer.next;
    for (const record of answer.records) if (record.offset < end) records.push(record);
  }
  return records;
}

/** Null once a signal has arrived. A log that returns neither records nor a new position has stopped responding. */
async function readUnlessStopped(
  access: LogAccess,
  topic: string,
  positions: readonly Position[],
  limit: number,
  waitMs: number,
  signal: AbortSignal,
): Promise<ReadAnswer | null> {
  let answer: ReadAnswer;
  try {
    answer = await access.read(topic, positions, { limit, waitMs, signal });
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
  if (signal.aborted) return null;
  const moved = answer.next.some(({ partition, offset }) =>
    positions.some((position) => position.partition === partition && position.offset !== offset),
  );
  if (waitMs === 0 && !moved)
    throw new FreshetError(
      'unavailable',
      `${access.where} has stopped returning records: try again, or run "freshet doctor".`,
    );
  return answer;
}

async function print(shell: Shell, records: readonly RawRecord[], options: ConsumeOptions): Promise<void> {
  if (records.length === 0) return;
  const decoded = options.decode === undefined ? records : records.map(options.decode);
  await shell.write(
    `${decoded.map((record) => (options.json ? JSON.stringify(record) : describe(record))).join('\n')}\n`,
  );
}

/** Decodes the values that were not decoded where they were read. Throws UsageError when the file is no schema. */
function decodedWith(file: string): (record: RawRecord) => RawRecord {
  let decode: (bytes: Buffer) => unknown;
  try {
    decode = decoderOf(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UsageError(`--schema ${file}: ${messageOf(error)}.`);
  }
  return (record) => {
    const { value_base64, error: _, ...rest } = record;
    if (value_base64 === undefined) return record;
    try {
      return { ...rest, value: plain(decode(Buffer.from(value_base64, 'base64'))) };
    } catch (error) {
      return { ...record, error: messageOf(error) };
    }
  };
}

function describe(record: RawRecord): string {
  const key = record.key ?? (record.key_base64 === undefined ? '(no key)' : `base64:${record.key_base64}`);
  const value =
    record.error === undefined ? JSON.stringify(record.value) : `(${record.error}) base64:${record.value_base64}`;
  return `${record.partition}:${record.offset}  ${record.timestamp}  ${key}  ${value}`;
}
