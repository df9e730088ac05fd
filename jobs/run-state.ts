/**
 * What may happen to a run: states × events, complete. A run that is started while it is `running` was left by a
 * process that died; it continues under the same id.
 *
 *                ┌──────────── yield ───────────┐
 *                ▼                              │ start
 *   request ► queued ── start ──────────► running ◄─┘──► succeeded | failed | cancelled
 *                └─────► skipped | cancelled
 */
import type { RunStatus } from './runs.js';

export type RunEvent = 'start' | 'yield' | 'succeed' | 'fail' | 'skip' | 'cancel';

const OVER = { start: null, yield: null, succeed: null, fail: null, skip: null, cancel: null } as const;

/** Null: the event comes too late or is not possible. */
export const TRANSITIONS: Readonly<Record<RunStatus, Readonly<Record<RunEvent, RunStatus | null>>>> = {
  queued: { start: 'running', yield: null, succeed: null, fail: null, skip: 'skipped', cancel: 'cancelled' },
  running: {
    start: 'running',
    yield: 'queued',
    succeed: 'succeeded',
    fail: 'failed',
    skip: null,
    cancel: 'cancelled',
  },
  succeeded: OVER,
  failed: OVER,
  skipped: OVER,
  cancelled: OVER,
};

export type EndEvent = Exclude<RunEvent, 'start' | 'yield'>;
export const END_STATUS = {
  succeed: 'succeeded',
  fail: 'failed',
  skip: 'skipped',
  cancel: 'cancelled',
} as const satisfies Record<EndEvent, RunStatus>;

/** States in which the event is possible; an update requires the row to be in one of them. */
export function statesBefore(event: RunEvent): RunStatus[] {
  return (Object.keys(TRANSITIONS) as RunStatus[]).filter((status) => TRANSITIONS[status][event] !== null);
}

export function isEnded(status: RunStatus): boolean {
  return status !== 'queued' && status !== 'running';
}
