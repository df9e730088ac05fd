/** The row that a fault test adds to the table at the end of a run. */
import { appendFileSync } from 'node:fs';
import type { Verdict } from './checker.js';

/** The file where scripts/test-faults.mjs collects the rows; unset if a file is run by itself. */
const REPORT_FILE = process.env['FAULT_REPORT_FILE'];

export interface FaultRow {
  readonly fault: string;
  readonly seed: number;
  /** Injected faults, including kills. */
  readonly faults: number;
  readonly kills: number;
  readonly events: number;
  readonly lost: number;
  readonly double: number;
  readonly wrong: number;
  /** Longest gap between commits of a popularity task under load; null if not measured. */
  readonly stallMs: number | null;
  /** One value per restored task. */
  readonly restoreSeconds: readonly number[];
}

/** The seed of this run: FAULT_SEED, or 1. */
export const seed = Number(process.env['FAULT_SEED'] ?? 1);
/** A sample is a small part of the full run: fewer kills, shorter storms. */
export const isFull = process.env['FAULT_SIZE'] === 'full';

export interface FaultFigures {
  readonly faults: number;
  readonly kills: number;
  readonly verdict: Verdict;
  readonly stallMs?: number;
  readonly restoreSeconds?: readonly number[];
}

/** Prints the row, and adds it to the table of the run. */
export function report(fault: string, { verdict, faults, kills, stallMs, restoreSeconds = [] }: FaultFigures): void {
  const { events, lost, double, wrong } = verdict;
  const row = { fault, seed, faults, kills, events, lost, double, wrong, stallMs: stallMs ?? null, restoreSeconds };
  const line = JSON.stringify(row satisfies FaultRow);
  if (REPORT_FILE !== undefined) appendFileSync(REPORT_FILE, `${line}\n`);
  const { restoreSeconds: all, ...shown } = row;
  console.log(JSON.stringify({ ...shown, restores: all.length, slowest_restore_s: Math.max(0, ...all) }));
}
