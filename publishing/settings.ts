/** Settings of publishing: how soon rows are written, how they are audited, which versions a process reads. */
import { integer, number } from '../runtime/process/setting-kinds.js';
import { declareSettings, type SettingsOf } from '../runtime/process/settings.js';
import type { ArtifactSettings, StoreSettings } from '../runtime/stores/settings.js';
import type { TaskSettings } from '../runtime/tasks/settings.js';

const version = integer(1, 2 ** 31 - 1).optional();

export const publishingSettings = declareSettings({
  AUDIT_SAMPLE: number(0, 1).default(0.01),
  AUDIT_INTERVAL_S: integer(1, 86_400).default(300),
  POSTGRES_COALESCE_MS: integer(0, 60_000).default(500),
  FEATURE_VERSION_POPULARITY: version,
  FEATURE_VERSION_AFFINITY: version,
  FEATURE_VERSION_INTERACTIONS: version,
  FEATURE_VERSION_STOPWORDS: version,
  FEATURE_VERSION_ALS: version,
  FEATURE_VERSION_FAISS: version,
});

/**
 * Settings of the folds, whose room is not known here: publishing and processors only share topics. The merged settings
 * of a process must contain them.
 */
export interface FoldSettings {
  readonly POPULARITY_HALF_LIFE_H: number;
  readonly AFFINITY_HALF_LIFE_H: number;
  readonly DUPLICATE_HORIZON_H: number;
}

export type PublishingSettings = SettingsOf<typeof publishingSettings> &
  FoldSettings &
  StoreSettings &
  ArtifactSettings &
  TaskSettings;
