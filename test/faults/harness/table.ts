/** The table at the end of a run of the fault tests. */
import { numberText } from '../../bench/table.js';
import type { FaultRow } from './report.js';

/** The result of one file: its rows, or none if it failed before the first. */
export interface FileResult {
  readonly name: string;
  readonly passed: boolean;
  readonly seconds: number;
  readonly rows: readonly FaultRow[];
}

const HEADINGS = [
  'fault',
  '',
  'faults',
  'kills',
  'events',
  'lost',
  'double',
  'wrong',
  'stall s',
  'restores',
  'p50 s',
  'max s',
  'took s',
] as const;

/** One line per row, or per file without rows, and a last one with the totals. */
export function faultTable(results: readonly FileResult[]): string {
  const lines = results.flatMap(({ name, passed, seconds, rows }) => {
    const verdict = passed ? 'ok' : 'FAILED';
    if (rows.length === 0) return [[name, verdict, ...Array<string>(10).fill(''), numberText(seconds)]];
    return rows.map((row) => [row.fault, verdict, ...figures(row), numberText(seconds)]);
  });
  const rows = results.flatMap((result) => result.rows);
  const sum = (of: (row: FaultRow) => number) => rows.reduce((total, row) => total + of(row), 0);
  const stalls = rows.map(({ stallMs }) => stallMs).filter((ms) => ms !== null);
  const total = {
    faults: sum((row) => row.faults),
    kills: sum((row) => row.kills),
    events: sum((row) => row.events),
    lost: sum((row) => row.lost),
    double: sum((row) => row.double),
    wrong: sum((row) => row.wrong),
    stallMs: stalls.length === 0 ? null : Math.max(...stalls),
    restoreSeconds: rows.flatMap(({ restoreSeconds }) => restoreSeconds),
  };
  const seconds = results.reduce((all, result) => all + result.seconds, 0);
  const verdict = results.every(({ passed }) => passed) ? 'ok' : 'FAILED';
  const table = [[...HEADINGS], ...lines, ['all', verdict, ...figures(total), numberText(seconds)]];
  const widths = HEADINGS.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  return table
    .map((row) =>
      row
        .map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function figures(row: Omit<FaultRow, 'fault' | 'seed'>): string[] {
  const restores = [...row.restoreSeconds].sort((a, b) => a - b);
  const median = restores[Math.floor(restores.length / 2)];
  return [
    numberText(row.faults),
    numberText(row.kills),
    numberText(row.events),
    numberText(row.lost),
    numberText(row.double),
    numberText(row.wrong),
    row.stallMs === null ? '' : numberText(row.stallMs / 1000),
    restores.length === 0 ? '' : numberText(restores.length),
    median === undefined ? '' : numberText(median),
    median === undefined ? '' : numberText(restores.at(-1)!),
  ];
}
