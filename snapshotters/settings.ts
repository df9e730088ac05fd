/** Settings of every snapshot, and the part of all settings that its process receives. */
import { type LogSettings, logSettings } from '../runtime/log/settings.js';
import { type ProcessSettings, processSettings } from '../runtime/process/process-settings.js';
import { integer } from '../runtime/process/setting-kinds.js';
import { declareSettings, type SettingsDeclaration, type SettingsOf } from '../runtime/process/settings.js';
import { type ArtifactSettings, artifactSettings } from '../runtime/stores/settings.js';

export const snapshotSettings = declareSettings({
  SNAPSHOT_MEMORY_MB: integer(64, 1_000_000).default(1024),
});

export type SnapshotSettings = SettingsOf<typeof snapshotSettings> & ProcessSettings & LogSettings & ArtifactSettings;

/**
 * The settings of every snapshot and those that this one declares: a process that only computes gets no store secrets.
 */
export function childSettings(settings: SnapshotSettings, own: readonly SettingsDeclaration[]): SnapshotSettings {
  const given = [processSettings, logSettings, artifactSettings, snapshotSettings, ...own];
  const names = new Set(given.flatMap(({ shape }) => Object.keys(shape)));
  return Object.fromEntries(Object.entries(settings).filter(([name]) => names.has(name))) as SnapshotSettings;
}
