/** Settings of all tasks: how often they commit, write their changelogs and take checkpoints. */
import { integer } from '../process/setting-kinds.js';
import { declareSettings, type SettingsOf } from '../process/settings.js';

export const taskSettings = declareSettings({
  COMMIT_INTERVAL_MS: integer(1, 60_000).default(100),
  CHANGELOG_INTERVAL_S: integer(1, 3600).default(30),
  /** 0: none. */
  CHECKPOINT_INTERVAL_S: integer(0, 86_400).default(60),
});

export type TaskSettings = SettingsOf<typeof taskSettings>;
