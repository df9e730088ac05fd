/** What a certificate says about times and keys, from the settings. */

import type { PublishingSettings } from '../settings.js';
import type { LookOptions } from './look.js';

export function erasureSettings(
  settings: PublishingSettings,
): Pick<LookOptions, 'keyPrefix' | 'duplicateHorizonMs' | 'changelogIntervalMs'> {
  return {
    keyPrefix: settings.REDIS_KEY_PREFIX,
    duplicateHorizonMs: settings.DUPLICATE_HORIZON_H * 3_600_000,
    changelogIntervalMs: settings.CHANGELOG_INTERVAL_S * 1_000,
  };
}
