/**
 * What a member does to itself, and where: at the n-th passing of a fault point it is killed, stopped, blocked, or made
 * to fail. The plan reaches the member on its command line, so no setting of the product refers to it.
 */
import { spawn } from 'node:child_process';
import { writeSync } from 'node:fs';
import { type ErrorCode, FreshetError } from '../../../runtime/process/errors.js';
import type { FaultHook, FaultPoint } from './fault-points.js';

export interface FaultStep {
  readonly point: FaultPoint;
  /** Only if the task's or partition's name contains this text. */
  readonly where?: string;
  /** From 1: which passing, counted over all matching places. */
  readonly passing: number;
  /** `stop`: SIGSTOP, and a sibling's SIGCONT after `ms`; `block`: the event loop is blocked for `ms`. */
  readonly does: 'kill' | 'stop' | 'block' | 'throw';
  readonly ms?: number;
  /** Code of the error that is thrown. */
  readonly code?: ErrorCode;
}

export interface FaultPlan {
  readonly steps: readonly FaultStep[];
  /**
   * Tasks that the member takes without a group: then the test needs no other member, and a restart need not wait for
   * the session of the killed one.
   */
  readonly pinned?: {
    /** Numbers within the application; null: all. */
    readonly tasks: readonly number[] | null;
    /** The answer when the member asks whether a task is still its own. */
    readonly confirmed: boolean;
  };
}

export const NO_FAULTS: FaultPlan = { steps: [] };

/** Written to standard error when a member meets a fault, as a line of JSON among those of its log. */
export interface FaultMet {
  readonly event: 'fault_met';
  readonly point: FaultPoint;
  readonly where: string;
  readonly does: FaultStep['does'];
}

/** The hook of a plan, in the process that the faults are meant for. Every step happens once. */
export function hookOf(plan: FaultPlan): FaultHook {
  const waiting = plan.steps.map((step) => ({ step, left: step.passing }));
  return (point, where) => {
    for (const one of waiting) {
      const { step } = one;
      if (step.point !== point || (step.where !== undefined && !where.includes(step.where)) || one.left === 0) continue;
      one.left--;
      if (one.left > 0) continue;
      const met: FaultMet = { event: 'fault_met', point, where, does: step.does };
      writeSync(2, `${JSON.stringify(met)}\n`);
      return happen(step, where);
    }
  };
}

function happen({ does, ms = 0, code = 'connection', point }: FaultStep, where: string): Promise<void> | void {
  switch (does) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL');
      // Nothing after the point may still run.
      return new Promise(() => undefined);
    case 'stop': {
      const later = `sleep ${ms / 1000}; kill -CONT ${process.pid}`;
      spawn('sh', ['-c', later], { stdio: 'ignore', detached: true }).unref();
      process.kill(process.pid, 'SIGSTOP');
      return;
    }
    case 'block':
      for (const end = performance.now() + ms; performance.now() < end; );
      return;
    case 'throw':
      throw new FreshetError(code, `a fault test requested an error at ${point} of ${where}`);
  }
}
