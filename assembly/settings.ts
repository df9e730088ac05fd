/** The settings of every process, merged from what the rooms declare. */
import { corpusSettings } from '../processors/corpus/settings.js';
import { featureSettings } from '../processors/features/settings.js';
import { publishingSettings } from '../publishing/settings.js';
import { logSettings } from '../runtime/log/settings.js';
import { embedderSettings } from '../runtime/models/embedder/settings.js';
import { processSettings } from '../runtime/process/process-settings.js';
import { type Environment, type Merged, mergeSettings } from '../runtime/process/settings.js';
import { artifactSettings, storeSettings } from '../runtime/stores/settings.js';
import { taskSettings } from '../runtime/tasks/settings.js';
import { servingSettings } from '../serving/settings.js';
import { snapshotSettings } from '../snapshotters/settings.js';
import { SNAPSHOTTERS } from './snapshotters.js';

export const DECLARED_SETTINGS = [
  logSettings,
  storeSettings,
  artifactSettings,
  processSettings,
  servingSettings,
  taskSettings,
  featureSettings,
  corpusSettings,
  publishingSettings,
  ...SNAPSHOTTERS.map(({ settings }) => settings),
  snapshotSettings,
  embedderSettings,
] as const;

export type Settings = Merged<typeof DECLARED_SETTINGS>;

const schema = mergeSettings(DECLARED_SETTINGS);

/** Throws FreshetError('settings') with every problem found. */
export function loadSettings(environment: Environment): Settings {
  return schema.load(environment);
}
