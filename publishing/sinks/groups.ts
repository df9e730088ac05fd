/** Groups of sinks without a version; those of one version are named by its set (topics/feature-set.ts). */
import { sinkNames } from '../../topics/feature-set.js';

/** Topics of producers, dead letters and erased subjects in Postgres. */
export const SHARED_TABLES = sinkNames('tables.postgres');
