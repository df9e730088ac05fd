/** Settings of the model that makes vectors. */
import { folder, integer } from '../../process/setting-kinds.js';
import { declareSettings, type SettingsOf } from '../../process/settings.js';

export const embedderSettings = declareSettings({
  EMBEDDING_MODEL_DIR: folder.optional(),
  EMBEDDING_THREADS: integer(1, 256).default(1),
});

export type EmbedderSettings = SettingsOf<typeof embedderSettings>;
