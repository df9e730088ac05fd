/** Is the log reachable, are the topics as declared, and how much memory and restore time do they imply. */
import { applyOptionsOf } from '../../runtime/log/apply-topics.js';
import type { Log } from '../../runtime/log/log.js';
import { isDataFolder } from '../../runtime/process/data-folder.js';
import type { TopicState } from '../../serving/reading/topic-states.js';
import { allTopics } from '../../topics/all.js';
import { applyTopics, type TopicReport, TopicsRefusedError } from '../../topics/apply.js';
import { events, products } from '../../topics/events.js';
import { HOUR_MS } from '../../topics/time.js';
import type { LogAccess } from '../access/access.js';
import { openLogAccess } from '../access/open.js';
import { format } from '../progress.js';
import type { Settings } from '../settings.js';
import type { Shell } from '../shell.js';
import { type Check, examine, fail, ok, warn } from './check.js';
import { estimate } from './estimate.js';
import { growthCheck } from './growth.js';

export async function checkLog(shell: Shell): Promise<readonly Check[]> {
  const { KAFKA_BROKERS, FRESHET_DATA_DIR } = shell.settings;
  if (KAFKA_BROKERS === undefined && !(await isDataFolder(FRESHET_DATA_DIR)))
    return [ok('log', 'KAFKA_BROKERS is not set: a log on disk is created in the data folder at the first start.')];
  return await examine('log', async () => {
    const access = await openLogAccess(shell);
    try {
      const topics = await access.topics();
      const present = topics.filter(({ partitions }) => partitions > 0).length;
      return [
        ok('log', `${access.where} answers; ${present} of ${topics.length} topics exist.`),
        ...(await checkTopics(access, shell.settings)),
        ...(await examine('log time', () => checkEvents(access, shell.settings))),
        ...(await examine('estimate', () => estimateChecks(access, topics, shell.settings))),
      ];
    } finally {
      await access.close();
    }
  });
}

/** Over HTTP, the running Freshet has compared them at its start. */
async function checkTopics({ log }: LogAccess, settings: Settings): Promise<Check[]> {
  if (log === null)
    return [ok('topics', 'The running Freshet has compared them with their declarations at its start.')];
  const options = { ...applyOptionsOf(log, settings), dryRun: true };
  try {
    return topicChecks(await applyTopics(log.admin, allTopics(), options));
  } catch (error) {
    if (error instanceof TopicsRefusedError) return error.refusals.map((sentence) => fail('topics', sentence));
    throw error;
  }
}

function topicChecks(reports: readonly TopicReport[]): Check[] {
  const checks = reports.flatMap(({ differences }) => differences.map((sentence) => warn('topics', sentence)));
  const missing = reports.filter(({ action }) => action === 'missing').map(({ name }) => name);
  if (missing.length > 0)
    checks.push(warn('topics', `Missing: ${missing.join(', ')}. "freshet up" or "freshet topics apply" creates them.`));
  return checks.length > 0 ? checks : [ok('topics', `All ${reports.length} are as declared.`)];
}

async function checkEvents({ log }: LogAccess, settings: Settings): Promise<Check[]> {
  if (log === null) return [];
  const config = await log.admin.describeTopic(events.name);
  if (config === null) return [];
  return [logTimeCheck(config.logAppendTime, settings), durabilityCheck(log, config.settings['min.insync.replicas'])];
}

function logTimeCheck(logAppendTime: boolean, settings: Settings): Check {
  if (logAppendTime)
    return ok('log time', 'events carries LogAppendTime: late events and duplicates are judged by the log.');
  const sentence =
    "events carries the producers' time (CreateTime): one wrong clock can close the window for everyone. Set message.timestamp.type=LogAppendTime on the topic";
  return settings.ALLOW_CREATE_TIME
    ? warn('log time', `${sentence}. ALLOW_CREATE_TIME allows it.`)
    : fail('log time', `${sentence}, or ALLOW_CREATE_TIME=true to take the risk.`);
}

function durabilityCheck(log: Log, minInsync: string | undefined): Check {
  if (log.kind === 'embedded')
    return ok('durability', 'One copy on this disk: keep the data folder on a disk you trust.');
  const replicas = Number(minInsync ?? '1');
  return replicas >= 2
    ? ok(
        'durability',
        `min.insync.replicas of events is ${replicas}: an acknowledged event survives the loss of a broker.`,
      )
    : warn(
        'durability',
        'min.insync.replicas of events is 1: an acknowledged event can be lost with one broker. With three brokers or more, set it to 2.',
      );
}

async function estimateChecks(
  access: LogAccess,
  topics: readonly TopicState[],
  settings: Settings,
): Promise<readonly Check[]> {
  const eventsSpanMs = await timeSpanOf(
    access,
    topics.find(({ name }) => name === events.name),
  );
  const counts = {
    events: spanOf(topics, (name) => name === events.name),
    eventsSpanMs,
    products: spanOf(topics, (name) => name === products.name),
    changelogs: spanOf(topics, (name) => name.endsWith('-changelog')),
  };
  const { memoryMb, restoreSeconds } = estimate(counts, {
    duplicateHorizonMs: settings.DUPLICATE_HORIZON_H * HOUR_MS,
    changelogIntervalMs: settings.CHANGELOG_INTERVAL_S * 1000,
  });
  const estimated = ok(
    'estimate',
    `${format(counts.events)} events and ${format(counts.products)} products: at most ${format(memoryMb)} MB for all processors together, and ${restoreSeconds < 1 ? 'under a second' : `${format(restoreSeconds)} s`} to restore their state in one process.`,
  );
  if (settings.KAFKA_BROKERS !== undefined) return [estimated];
  return [estimated, await growthCheck(settings.FRESHET_DATA_DIR, eventsSpanMs)];
}

function spanOf(topics: readonly TopicState[], isMeant: (name: string) => boolean): number {
  let sum = 0;
  for (const { name, offsets } of topics)
    if (isMeant(name)) for (const { earliest, last_stable } of offsets) sum += last_stable - earliest;
  return sum;
}

/** Log time from the oldest event until now, ms: partitions are similar, so any one with records will do. */
async function timeSpanOf(access: LogAccess, topic: TopicState | undefined): Promise<number> {
  const partition = topic?.offsets.find(({ earliest, last_stable }) => last_stable > earliest);
  if (topic === undefined || partition === undefined) return 0;
  const start = [{ partition: partition.partition, offset: partition.earliest }];
  const { records } = await access.read(topic.name, start, {
    limit: 1,
    waitMs: 0,
    signal: new AbortController().signal,
  });
  const first = records[0];
  return first === undefined ? 0 : Math.max(0, Date.now() - Date.parse(first.timestamp));
}
