/** One run of the engine over one load on one fresh broker: fed first, folded by a separate process, then verified. */
import { allTopics } from '../../topics/all.js';
import { applyTopics } from '../../topics/apply.js';
import { featureSet } from '../../topics/feature-set.js';
import type { LoadOptions } from '../support/load.js';
import type { Figure } from './bench.js';
import { cpuSecondsOf } from './cpu.js';
import type { EngineDone, EngineInput } from './engine-worker.js';
import { feed, readAll } from './feed.js';
import type { BrokerPlace } from './places.js';
import { type Verdict, verify } from './verify.js';
import { Worker } from './worker.js';

export const PARTITIONS = 4;

export interface EngineRun extends EngineDone {
  readonly events: number;
  readonly brokerCpuSeconds: number | null;
  /** Committed records per topic that the engine writes. */
  readonly written: ReadonlyMap<string, number>;
  readonly verdict: Verdict;
}

export async function prepareTopics(place: BrokerPlace): Promise<void> {
  await applyTopics(place.log.admin, allTopics(), { kind: place.log.kind, partitions: PARTITIONS });
}

/** Topics must be prepared and empty. */
export async function runEngine(
  place: BrokerPlace,
  options: Omit<Partial<LoadOptions>, 'endMs'>,
  say: (line: string) => void,
): Promise<EngineRun> {
  say('feeding the log');
  const events = await feed(place.log, 'events', { ...options, endMs: Date.now() });
  say(`folding ${events} events`);
  const brokerBefore = place.pid === null ? null : cpuSecondsOf(place.pid);
  const input: EngineInput = { brokers: place.brokers, partitions: PARTITIONS };
  const worker = new Worker('engine-worker', input);
  let done: EngineDone;
  try {
    done = await worker.next<EngineDone>('done');
  } finally {
    await worker.stop();
  }
  const brokerAfter = place.pid === null ? null : cpuSecondsOf(place.pid);
  say('comparing every product and user with the reference');
  const written = new Map<string, number>();
  for (const { name } of Object.values(featureSet(1).topics))
    written.set(name, await readAll(place.log, name, () => undefined));
  return {
    ...done,
    events,
    brokerCpuSeconds: brokerBefore === null || brokerAfter === null ? null : brokerAfter - brokerBefore,
    written,
    verdict: await verify(place.log),
  };
}

/** The figures that every run of the engine reports. */
export function engineFigures(run: EngineRun): Figure[] {
  const records = [...run.written.values()].reduce((sum, count) => sum + count, 0);
  const figures: Figure[] = [
    { name: 'events per second', value: run.events / run.seconds, unit: 'events/s' },
    { name: 'events per CPU-second', value: run.events / run.cpuSeconds, unit: 'events/CPU-s' },
    { name: 'processor time', value: run.cpuSeconds, unit: 's' },
    { name: 'peak memory', value: run.memoryMib, unit: 'MiB' },
    { name: 'commits', value: run.commits, unit: '' },
    { name: 'records out per event', value: records / run.events, unit: '' },
    ...[...run.written].map(([topic, count]) => ({ name: `  ${topic}`, value: count, unit: 'records' })),
    { name: 'largest relative error', value: run.verdict.worst, unit: '', aim: { atMost: 1e-9 } },
    { name: 'products checked', value: run.verdict.products, unit: '' },
    { name: 'users checked', value: run.verdict.users, unit: '' },
  ];
  if (run.brokerCpuSeconds !== null)
    figures.splice(3, 0, { name: 'broker’s processor time', value: run.brokerCpuSeconds, unit: 's' });
  return figures;
}
