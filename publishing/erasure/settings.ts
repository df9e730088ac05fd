/** What a certificate says about times and keys, from the settings. */
import { HOUR_MS } from '../../topics/time.js';
import type { PublishingSettings } from '../settings.js';
import type { LookOptions } from './look.js';

export function erasureSettings(
  settings: PublishingSettings,
): Pick<LookOptions, 'keyPrefix' | 'duplicateHorizonMs' | 'changelogIntervalMs'> {
  return {
    keyPrefix: settings.REDIS_KEY_PREFIX,
    duplicateHorizonMs: settings.DUPLICATE_HORIZON_H * HOUR_MS,
    changelogIntervalMs: settings.CHANGELOG_INTERVAL_S * 1_000,
  };
}
