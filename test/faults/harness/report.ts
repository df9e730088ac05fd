/** What a fault test tells the table at the end of a run. */
import { appendFileSync } from 'node:fs';
import type { Verdict } from './checker.js';

/** Where scripts/test-faults.mjs collects the rows; unset when a file is run by itself. */
const REPORT_FILE = process.env['FAULT_REPORT_FILE'];

export interface FaultRow {
  readonly fault: string;
  readonly seed: number;
  /** Faults injected, kills among them. */
  readonly faults: number;
  readonly kills: number;
  readonly events: number;
  readonly lost: number;
  readonly double: number;
  readonly wrong: number;
  /** Longest gap between commits of a popularity task under load; null where none was measured. */
  readonly stallMs: number | null;
  /** Of every task restored. */
  readonly restoreSeconds: readonly number[];
}

/** The seed of this run: FAULT_SEED, else 1. */
export const seed = Number(process.env['FAULT_SEED'] ?? 1);
/** A sample is a small part of what the full run does: fewer kills, shorter storms. */
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
