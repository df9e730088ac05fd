/** What rooms declare of their own is merged above them; the foundation names none of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openReporting } from '../../assembly/reporting.js';
import { ALL_ROLES } from '../../assembly/roles/all.js';
import { SETTING_NAMES } from '../../cli/settings.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { createMetrics } from '../../runtime/process/metrics.js';
import { processSettings } from '../../runtime/process/process-settings.js';
import { importedFiles, type SourceFile, sourceFiles } from './source-files.js';

const files = sourceFiles();
const isFoundation = ({ path }: SourceFile) => path.startsWith('runtime/process/');
const rooms = files.filter((file) => !isFoundation(file));

/** What a pattern's first group finds in all rooms above the foundation. */
function declared(pattern: RegExp): string[] {
  return rooms.flatMap(({ text }) => [...text.matchAll(pattern)].map((match) => match[1]!));
}

const metricNames = (metrics: ReturnType<typeof createMetrics>) =>
  metrics.registry.getMetricsAsArray().map(({ name }) => name);

test('the foundation names no setting, metric, role, fault point or event of the rooms above it', () => {
  const own = Object.keys(processSettings.shape);
  const ofNode = metricNames(createMetrics());
  const names = [
    ...SETTING_NAMES.filter((name) => !own.includes(name)),
    ...metricNames(openReporting(silentLogger).metrics).filter((name) => !ofNode.includes(name)),
    ...ALL_ROLES.map((role) => `'${role}'`),
    ...declared(/\bfaultPoint\('([a-z_.]+)'/g),
    ...declared(/new NamedEvent<[^(]*>\(\s*'([a-z_]+)'/g),
  ];
  assert.ok(names.includes('KAFKA_BROKERS') && names.includes('freshet_task_commits_total'));
  assert.ok(names.includes("'snapshotter:als'") && names.includes('commit.begin') && names.includes('task_failed'));
  for (const { path, text } of files.filter(isFoundation))
    for (const name of names)
      assert.doesNotMatch(text, new RegExp(`(?<!\\w)${name.replaceAll('.', '\\.')}(?!\\w)`), `${path} names ${name}`);
});

/** Files whose text matches are imported by one of those that merge; what is not imported there would be ignored. */
function assertMerged(pattern: RegExp, mergedBy: readonly string[]): void {
  const merged = files.filter(({ path }) => mergedBy.includes(path)).flatMap(importedFiles);
  const declaring = files.filter(({ text }) => pattern.test(text));
  assert.ok(declaring.length > 2);
  for (const { path } of declaring) assert.ok(merged.includes(path), `${path} is not merged by ${mergedBy.join(', ')}`);
}

test('settings, metrics and events that a room declares are merged for the process', () => {
  assertMerged(/= declareSettings\(/, ['assembly/settings.ts', 'assembly/snapshotters.ts', 'cli/settings.ts']);
  assertMerged(/= declareMetrics\(/, ['assembly/reporting.ts']);
  assertMerged(/export const \w+: Reports =/, ['assembly/reporting.ts']);
});
