/** Creates the declared topics in a log as the settings say; the rules are in topics/apply.ts. */
import { type ApplyOptions, applyTopics, type TopicReport, TopicsRefusedError } from '../../topics/apply.js';
import type { TopicDeclaration } from '../../topics/topic.js';
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
