/** Settings of the ALS model. */
import { integer, number } from '../../runtime/process/setting-kinds.js';
import { declareSettings, type SettingsOf } from '../../runtime/process/settings.js';

export const alsSettings = declareSettings({
  ALS_FACTORS: integer(1, 512).default(64),
  ALS_REGULARIZATION: number(0.000001, 1_000_000).default(10),
  ALS_ITERATIONS: integer(1, 1_000).default(15),
  ALS_ALPHA: number(0, 10_000).default(1),
  ALS_SEED: integer(0, 2 ** 31 - 1).default(1),
  ALS_THREADS: integer(1, 256).optional(),
  ALS_INTERACTIONS_MIN: integer(1, 255).default(5),
});

export type AlsSettings = SettingsOf<typeof alsSettings>;
