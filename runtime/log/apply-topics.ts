/** Creates the declared topics in a log as the settings say; the rules are in topics/apply.ts. */
import { type ApplyOptions, applyTopics, type TopicReport, TopicsRefusedError } from '../../topics/apply.js';
import type { TopicDeclaration } from '../../topics/topic.js';
import type { Clock } from '../process/clock.js';
import { FreshetError } from '../process/errors.js';
import type { Logger } from '../process/logger.js';
import type { Log } from './log.js';
import type { LogSettings } from './settings.js';

type TopicSettings = Pick<LogSettings, 'PARTITIONS' | 'ALLOW_CREATE_TIME'>;

export function applyOptionsOf(log: Pick<Log, 'kind'>, settings: TopicSettings): ApplyOptions {
  return { kind: log.kind, partitions: settings.PARTITIONS, allowCreateTime: settings.ALLOW_CREATE_TIME };
}

/** Harmless differences are only logged. Throws FreshetError('state') with one sentence per refused topic. */
export async function applyDeclaredTopics(
  log: Pick<Log, 'kind' | 'admin'>,
  declarations: readonly TopicDeclaration[],
  settings: TopicSettings,
  logger: Logger,
): Promise<TopicReport[]> {
  const reports = await refusalsAsErrors(applyTopics(log.admin, declarations, applyOptionsOf(log, settings)));
  for (const { name, action, differences } of reports) {
    if (action === 'created') logger.info({ event: 'topic_created', topic: name });
    for (const difference of differences) logger.warn({ event: 'topic_differs', topic: name }, difference);
  }
  return reports;
}

/** topics/ does not know the engine, so its refusal is turned into a FreshetError here. */
export async function refusalsAsErrors<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof TopicsRefusedError) throw new FreshetError('state', error.message, { cause: error });
    throw error;
  }
}

const MISSING_MS_MAX = 60_000;
const LOOK_MS = 500;

/**
 * Waits until all topics exist, for processes that only read and must not decide how topics are created. Throws
 * FreshetError('state') for topics that are refused, or that are still missing after a minute.
 */
export async function awaitDeclaredTopics(
  log: Pick<Log, 'kind' | 'admin'>,
  declarations: readonly TopicDeclaration[],
  settings: TopicSettings,
  { logger, clock }: { readonly logger: Logger; readonly clock: Clock },
): Promise<void> {
  const options = { ...applyOptionsOf(log, settings), dryRun: true };
  const until = clock.elapsed() + MISSING_MS_MAX;
  for (let wasMissing = false; ; wasMissing = true) {
    const reports = await refusalsAsErrors(applyTopics(log.admin, declarations, options));
    const missing = reports.filter(({ action }) => action === 'missing').map(({ name }) => name);
    if (missing.length === 0) return;
    if (!wasMissing) logger.warn({ event: 'topics_missing', topics: missing }, 'Waiting for topics to be created');
    if (clock.elapsed() >= until)
      throw new FreshetError(
        'state',
        `These topics are missing in the log: ${missing.join(', ')}. Run "freshet topics apply", or start a process with another role than serving.`,
      );
    await clock.sleep(LOOK_MS);
  }
}
