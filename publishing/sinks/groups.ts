/** Groups of sinks without a version; those of one version are named by its set (topics/feature-set.ts). */
import { sinkNames } from '../../topics/feature-set.js';

/** What readers of every version pass over, in the online store: erased subjects and deleted products. */
export const SHARED_ONLINE = sinkNames('shared.redis');

/** Topics of producers, dead letters and erased subjects in Postgres. */
export const SHARED_TABLES = sinkNames('tables.postgres');
