/** Settings of the corpus application. */
import { integer } from '../../runtime/process/setting-kinds.js';
import { declareSettings, type SettingsOf } from '../../runtime/process/settings.js';

export const corpusSettings = declareSettings({
  TERMS_INTERVAL_S: integer(1, 3600).default(60),
});

export type CorpusSettings = SettingsOf<typeof corpusSettings>;
