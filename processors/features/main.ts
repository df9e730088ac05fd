/** Starts the features application: the tasks of activity and popularity assigned to this member. */
import { startAll, stopAll } from '../../runtime/process/service.js';
import type { TaskSettings } from '../../runtime/tasks/settings.js';
import type { FeatureSet } from '../../topics/feature-set.js';
import { HOUR_MS } from '../../topics/time.js';
import { applicationOf, type Processors, type ProcessorsOptions } from '../application.js';
import { activityProcessor } from './activity/processor.js';
import { Catalogue } from './catalogue/catalogue.js';
import { featureMetrics } from './metrics.js';
import { popularityProcessor } from './popularity/processor.js';
import type { FeatureSettings } from './settings.js';

interface FeaturesOptions extends ProcessorsOptions {
  readonly settings: TaskSettings & FeatureSettings;
  readonly set: FeatureSet;
}

/** The processors of one version. */
export interface FeatureProcessors extends Processors {
  readonly set: FeatureSet;
  /** The table of products that its folds read. */
  readonly catalogue: { readonly name: string; readonly problem: string | null };
}

/** One version of the features application as a service; start() resolves when the group is joined, not when tasks are restored. */
export function createProcessors(options: FeaturesOptions): FeatureProcessors {
  const { set, log, codec, settings, logger, metrics, clock } = options;
  const { application, topics } = set;
  const { intake } = featureMetrics(metrics);
  const catalogue = new Catalogue({ log, codec, logger, clock });
  const activity = activityProcessor({
    application,
    topics,
    codec,
    catalogue,
    settings: {
      popularityHalfLifeMs: settings.POPULARITY_HALF_LIFE_H * HOUR_MS,
      affinityHalfLifeMs: settings.AFFINITY_HALF_LIFE_H * HOUR_MS,
      duplicateHorizonMs: settings.DUPLICATE_HORIZON_H * HOUR_MS,
      interactionsIntervalMs: settings.INTERACTIONS_INTERVAL_S * 1_000,
    },
    onIntake: (outcome, records) => intake.inc({ outcome }, records),
  });
  const popularity = popularityProcessor({
    application,
    topics,
    codec,
    catalogue,
    halfLifeMs: settings.POPULARITY_HALF_LIFE_H * HOUR_MS,
  });
  const tasks = applicationOf(application, [activity, popularity], options);
  const services = [catalogue, tasks];
  return {
    set,
    catalogue,
    name: application,
    application: tasks,
    start: () => startAll(services),
    stop: () => stopAll(services),
  };
}
