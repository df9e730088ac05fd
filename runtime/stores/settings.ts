/** Settings of the stores, and of the folder of artefacts. */
import { join } from 'node:path';
import { z } from 'zod';
import type { ProcessSettings } from '../process/process-settings.js';
import { folder, url } from '../process/setting-kinds.js';
import { declareSettings, type SettingsOf } from '../process/settings.js';

export const storeSettings = declareSettings(
  {
    REDIS_URL: url(['redis', 'rediss']).optional(),
    REDIS_PASSWORD: z.string().min(1).optional(),
    REDIS_KEY_PREFIX: z
      .string()
      .regex(/^[\w:.{}-]*$/)
      .default(''),
    DATABASE_URL: url(['postgres', 'postgresql']).optional(),
  },
  {
    secrets: ['REDIS_URL', 'REDIS_PASSWORD', 'DATABASE_URL'],
    needs: [['REDIS_PASSWORD', 'REDIS_URL']],
  },
);

export const artifactSettings = declareSettings({
  ARTIFACTS_DIR: folder.optional(),
});

/** Stores that are not given are in the data folder. */
export type StoreSettings = SettingsOf<typeof storeSettings> & Pick<ProcessSettings, 'FRESHET_DATA_DIR'>;
export type ArtifactSettings = SettingsOf<typeof artifactSettings> & Pick<ProcessSettings, 'FRESHET_DATA_DIR'>;

/** The folder of artefacts: ARTIFACTS_DIR, else a folder in the data folder. */
export function artifactsFolder({ ARTIFACTS_DIR, FRESHET_DATA_DIR }: ArtifactSettings): string {
  return ARTIFACTS_DIR ?? join(FRESHET_DATA_DIR, 'artifacts');
}
