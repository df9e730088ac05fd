/** A version's description of itself, as text. */
import type { Artefact } from '../publishing/layout.js';
import type { VersionEntry } from '../publishing/versions/versions.js';
import { localTime } from './local-time.js';
import { drawTable } from './table.js';

export function describeVersion(artefact: Artefact, { version, state, ...entry }: VersionEntry): string {
  const { manifest, created_at, activated_at, reaped, reason } = entry;
  const { run_id, code_version, inputs = [], settings = {}, counts = {}, checks = [], files = [] } = manifest;
  const rows: [string, string][] = [
    ['state', reaped ? `${state}; its data is gone` : state],
    ...(reason ? [['reason', reason] as [string, string]] : []),
    ['made', localTime(created_at)],
    ['current since', localTime(activated_at)],
    ...(run_id === undefined ? [] : [['run', run_id] as [string, string]]),
    ...(code_version === undefined ? [] : [['made by', `Freshet ${code_version}`] as [string, string]]),
    ...Object.entries(counts).map(([what, count]): [string, string] => [
      what.replaceAll('_', ' '),
      count.toLocaleString('en-US'),
    ]),
    ...Object.entries(settings).map(([what, value]): [string, string] => [what, String(value)]),
  ];
  const width = Math.max(...rows.map(([what]) => what.length));
  const sections = [
    [`${artefact} version ${version}`, ...rows.map(([what, value]) => `  ${what.padEnd(width)}  ${value}`)].join('\n'),
  ];
  if (checks.length > 0)
    sections.push(
      drawTable(
        ['check', '', 'found'],
        checks.map((check) => [check.name, check.passed ? 'passed' : 'FAILED', check.sentence]),
      ),
    );
  if (inputs.length > 0)
    sections.push(
      drawTable(
        ['input', 'from offset', 'to', 'as of'],
        inputs.map(({ topic, partition, from, to, at }) => [
          `${topic}[${partition}]`,
          from,
          to,
          localTime(new Date(at)),
        ]),
      ),
    );
  if (files.length > 0)
    sections.push(
      drawTable(
        ['file', 'bytes', 'sha256'],
        files.map(({ name, bytes, sha256 }) => [name, bytes, sha256]),
      ),
    );
  return sections.join('\n\n');
}
