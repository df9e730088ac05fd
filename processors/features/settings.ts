/** Settings of the features application. The half-lives and the horizon are part of the definition of its folds. */
import { integer, number } from '../../runtime/process/setting-kinds.js';
import { declareSettings, type SettingsOf } from '../../runtime/process/settings.js';

export const featureSettings = declareSettings({
  INTERACTIONS_INTERVAL_S: integer(1, 86_400).default(600),
  POPULARITY_HALF_LIFE_H: number(1, 24_000).default(14 * 24),
  AFFINITY_HALF_LIFE_H: number(1, 24_000).default(30 * 24),
  DUPLICATE_HORIZON_H: number(0.01, 168).default(6),
});

export type FeatureSettings = SettingsOf<typeof featureSettings>;
