/** Reports as text for people to read. */
import { type Figure, type Report, reaches } from './bench.js';

/** One table per report, figures right-aligned, followed by the target and whether it is met. */
export function tableOf(report: Report): string {
  const rows = report.figures.map((figure) => [figure.name, numberText(figure.value), figure.unit, aimText(figure)]);
  const width = (column: number) => Math.max(...rows.map((row) => row[column]!.length));
  const widths = [width(0), width(1), width(2)] as const;
  const lines = rows.map(([name, value, unit, aim]) =>
    `  ${name!.padEnd(widths[0])}  ${value!.padStart(widths[1])} ${unit!.padEnd(widths[2])}  ${aim}`.trimEnd(),
  );
  return [report.title, ...lines, ...report.notes.map((note) => `  ${note}`), ''].join('\n');
}

/** Three significant digits below 1,000, above that whole numbers with thousands separators. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return 'none';
  const size = Math.abs(value);
  if (size !== 0 && size < 0.001) return value.toExponential(1);
  if (size < 1000) return String(Number(value.toPrecision(3)));
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

function aimText(figure: Figure): string {
  if (figure.aim === undefined) return '';
  const aim = 'atLeast' in figure.aim ? `≥ ${numberText(figure.aim.atLeast)}` : `≤ ${numberText(figure.aim.atMost)}`;
  return `${reaches(figure) ? 'ok' : 'MISSED'}, aim ${aim}`;
}
