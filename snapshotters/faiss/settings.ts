/** Settings of the FAISS index. */
import { z } from 'zod';
import { flag, integer, number } from '../../runtime/process/setting-kinds.js';
import { declareSettings, type SettingsOf } from '../../runtime/process/settings.js';

export const faissSettings = declareSettings({
  FAISS_INDEX: z.enum(['auto', 'flat', 'hnsw', 'ivf']).default('auto'),
  FAISS_RECALL_MIN: number(0, 1).default(0.95),
  FAISS_EF_SEARCH: integer(1, 4096).optional(),
  FAISS_NPROBE: integer(1, 65_536).optional(),
  FAISS_CHANGE_ALLOWED: flag.default(false),
});

export type FaissSettings = SettingsOf<typeof faissSettings>;
