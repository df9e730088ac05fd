/** Settings of every process: where its data is, how much it logs. */
import { z } from 'zod';
import { folder } from './setting-kinds.js';
import { declareSettings, type SettingsOf } from './settings.js';

export const processSettings = declareSettings({
  FRESHET_DATA_DIR: folder.default(() => folder.parse('data')),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});

export type ProcessSettings = SettingsOf<typeof processSettings>;
