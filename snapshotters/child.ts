/**
 * The process of one snapshot. It receives its job as the first message, computes, and answers with a finished folder
 * or an error; it publishes nothing and has no access to stores. It ends with its parent. SIGTERM ends it early: a
 * capture writes its savepoint first.
 */
import { constants, setPriority } from 'node:os';
import { openKafkaLog } from '../runtime/log/kafka/log.js';
import { openReadingCodec } from '../runtime/log/reading-codec.js';
import { logSettings } from '../runtime/log/settings.js';
import { systemClock } from '../runtime/process/clock.js';
import { FreshetError } from '../runtime/process/errors.js';
import { createLogger } from '../runtime/process/logger.js';
import type { CaptureLog } from './capture.js';
import type { ChildJob, FromChild, ToChild } from './child-messages.js';
import { makeSnapshot } from './make.js';
import { checkMemory } from './memory.js';
import { type LogAsk, RemoteLog, refusalOf } from './remote-log.js';
import type { Snapshotter } from './snapshotter.js';

/** The parent writes each progress message to a database: ten per second are enough for a progress bar. */
const PROGRESS_MS = 100;

const stop = new AbortController();
const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
let asked = 0;
let phase = 'start';
let toldAtMs = Number.NEGATIVE_INFINITY;
let measuredAtMs = Number.NEGATIVE_INFINITY;
let memoryMb = 0;

process.on('disconnect', () => process.exit(1));
// Ctrl-C reaches the whole process group; the parent decides when to stop.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => {
  stop.abort();
  if (phase !== 'capture') process.exit(0);
});
process.on('message', (message: ToChild) => {
  if (message.kind === 'job') void run(message.job);
  else settle(message);
});

function settle(message: Exclude<ToChild, { kind: 'job' }>): void {
  const asker = waiting.get(message.id);
  waiting.delete(message.id);
  if (message.kind === 'answer') asker?.resolve(message.value);
  else asker?.reject(new FreshetError(message.refusal.code, message.refusal.message));
}

function ask(question: LogAsk): Promise<unknown> {
  return new Promise((resolve, reject) => {
    waiting.set(++asked, { resolve, reject });
    tell({ kind: 'ask', id: asked, ask: question });
  });
}

/** Resolves when the message is sent. `disconnect` reports a parent that has ended. */
function tell(message: FromChild): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, undefined, undefined, () => resolve());
  });
}

/** Live features and readers have priority if the machine is busy. */
function stepBack(): void {
  try {
    setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // Not permitted here: it runs at normal priority.
  }
}

async function run(job: ChildJob): Promise<void> {
  stepBack();
  const outcome = await make(job).catch((error: unknown): FromChild => {
    if (!(error instanceof FreshetError)) console.error(error);
    return { kind: 'failed', refusal: refusalOf(error) };
  });
  await tell(outcome);
  process.exit(0);
}

async function make(job: ChildJob): Promise<FromChild> {
  const { settings } = job;
  memoryMb = settings.SNAPSHOT_MEMORY_MB;
  const logger = createLogger(settings.LOG_LEVEL, logSettings.secrets);
  const { snapshotter } = (await import(job.module)) as { snapshotter: Snapshotter };
  const log: CaptureLog =
    settings.KAFKA_BROKERS === undefined ? new RemoteLog(ask) : await openKafkaLog(settings, logger);
  phase = 'capture';
  const built = await makeSnapshot({
    snapshotter,
    job,
    log,
    codec: await openReadingCodec(settings),
    clock: systemClock,
    logger,
    progress: tellProgress,
    signal: stop.signal,
  });
  return built === null ? { kind: 'stopped' } : { kind: 'finished', built };
}

function tellProgress(at: string, done: number, total: number | null): void {
  const now = systemClock.elapsed();
  if (now - measuredAtMs >= PROGRESS_MS) {
    measuredAtMs = now;
    checkMemory(memoryMb);
  }
  if (at === phase && done !== total && now - toldAtMs < PROGRESS_MS) return;
  phase = at;
  toldAtMs = now;
  void tell({ kind: 'progress', progress: { phase, done, total } });
}
