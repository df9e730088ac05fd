/** Settings of the demo shop. */
import { integer, number } from '../../runtime/process/setting-kinds.js';
import { declareSettings, type SettingsOf } from '../../runtime/process/settings.js';

export const demoSettings = declareSettings({
  DEMO_RATE: number(0, 10_000).default(20),
  DEMO_SEED: integer(0, 2 ** 31 - 1).default(1),
});

export type DemoSettings = SettingsOf<typeof demoSettings>;
