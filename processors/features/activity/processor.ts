/**
 * Reads `events`, keeps (user, day) sums, writes affinity, interactions and the re-key hop to products, and sets aside
 * late and unreadable events.
 */
import type { ProcessorDeclaration } from '../../../runtime/tasks/processor.js';
import type { Codec } from '../../../schemas/codec.js';
import { deadLetters, events, lateEvents } from '../../../topics/events.js';
import type { FeatureTopics } from '../../../topics/features.js';
import type { Catalogue } from '../catalogue/catalogue.js';
import { ActivityPart, type ActivitySettings, type IntakeOutcome } from './activity-part.js';

/** Raise it whenever the fold or the shape of its state changes: the task then refuses old state instead of mixing. */
const FOLD_VERSION = 2;

interface ActivityProcessorOptions {
  readonly application: string;
  readonly topics: FeatureTopics;
  readonly settings: ActivitySettings;
  readonly codec: Codec;
  readonly catalogue: Catalogue;
  readonly onIntake: (outcome: IntakeOutcome, records: number) => void;
}

export function activityProcessor(options: ActivityProcessorOptions): ProcessorDeclaration {
  const { application, topics, settings, codec, catalogue, onIntake } = options;
  const { popularityHalfLifeMs, affinityHalfLifeMs, duplicateHorizonMs } = settings;
  return {
    name: 'activity',
    application,
    fingerprint: JSON.stringify({
      fold: 'activity',
      version: FOLD_VERSION,
      popularityHalfLifeMs,
      affinityHalfLifeMs,
      duplicateHorizonMs,
    }),
    rowPrefix: codec.prefix('ActivityRow'),
    input: events.name,
    changelog: topics.activityChangelog.name,
    writes: [
      topics.productActivity.name,
      topics.affinity.name,
      topics.interactions.name,
      topics.activityChangelog.name,
      lateEvents.name,
      deadLetters.name,
    ],
    tables: [catalogue],
    createPart: (part) => new ActivityPart({ ...part, topics, settings, codec, catalogue, onIntake }),
  };
}
