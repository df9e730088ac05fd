/** Settings of the stopwords. */
import { flag, integer, number } from '../../runtime/process/setting-kinds.js';
import { declareSettings, type SettingsOf } from '../../runtime/process/settings.js';

export const stopwordSettings = declareSettings({
  STOPWORDS_WORDS_MAX: integer(1, 20_000).default(3_000),
  STOPWORDS_CONFIDENCE_MIN: number(0, 1).default(0.2),
  STOPWORDS_DOCUMENTS_MIN: integer(1, 1_000_000).default(50),
  STOPWORDS_CHANGE_ALLOWED: flag.default(false),
});

export type StopwordSettings = SettingsOf<typeof stopwordSettings>;
