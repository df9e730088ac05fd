/** Releases: one record per artefact says which of its versions is current. */
import { FEATURE_SETTINGS, topic } from './topic.js';

export const releases = topic({
  name: 'releases',
  doc: 'Which version of each artefact is current.',
  key: 'artefact',
  schema: 'Release',
  partitions: 1,
  cleanup: 'compact',
  owner: 'publishing',
  readers: ['publishing'],
  settings: FEATURE_SETTINGS,
});
