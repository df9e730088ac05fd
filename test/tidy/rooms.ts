/**
 * Which room may import which. A room is a folder of the source; the rooms of one folder are siblings. The entry of a
 * folder lists its rooms, each with the siblings it may import, lowest first; what holds for a room holds for the rooms
 * in it.
 *
 * Files that lie in a folder itself stand outside its rooms: some are words that the rooms share, others put the rooms
 * together. They may import the rooms and be imported by them, as long as no circle of files comes of it.
 *
 * A new room is a line here. An arrow without an import fails the test too, so the table says what is so.
 */
export const ROOMS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  '': {
    schemas: [],
    topics: ['schemas'],
    runtime: ['schemas', 'topics'],
    ingest: ['schemas', 'topics', 'runtime'],
    processors: ['schemas', 'topics', 'runtime'],
    publishing: ['schemas', 'topics', 'runtime'],
    jobs: ['schemas', 'topics', 'runtime'],
    snapshotters: ['schemas', 'topics', 'runtime', 'processors', 'publishing', 'jobs'],
    serving: ['schemas', 'topics', 'runtime', 'ingest', 'processors', 'publishing', 'jobs', 'snapshotters'],
    assembly: ['schemas', 'topics', 'runtime', 'ingest', 'processors', 'publishing', 'jobs', 'snapshotters', 'serving'],
    cli: ['schemas', 'topics', 'runtime', 'ingest', 'publishing', 'jobs', 'snapshotters', 'serving', 'assembly'],
    exports: ['schemas', 'topics', 'runtime', 'ingest', 'publishing', 'assembly'],
  },
  runtime: {
    process: [],
    log: ['process'],
    tasks: ['process', 'log'],
    stores: ['process'],
    models: ['process'],
    testing: ['process', 'log', 'tasks'],
  },
  'runtime/log': { embedded: [], kafka: [] },
  'runtime/log/kafka': { wire: [], client: ['wire'] },
  'runtime/tasks': { state: [] },
  'runtime/stores': { local: [], redis: [], postgres: [] },
  'runtime/models': { embedder: [], faiss: [] },
  'runtime/models/embedder': { import: [] },
  processors: {
    intake: [],
    // One task folds all of them, over the rows of (user, day).
    features: ['intake'],
    corpus: [],
    embeddings: [],
  },
  'processors/features': {
    catalogue: [],
    affinity: [],
    interactions: [],
    activity: ['catalogue', 'affinity', 'interactions'],
    popularity: ['catalogue'],
  },
  publishing: {
    migrations: [],
    sinks: [],
    versions: [],
    live: ['sinks', 'versions'],
    reading: ['sinks', 'versions'],
    erasure: ['sinks', 'live'],
    audit: ['sinks', 'live'],
  },
  'snapshotters/faiss': { words: [] },
  'publishing/versions': { artefacts: [] },
  snapshotters: { stopwords: [], faiss: [], als: [] },
  serving: {
    access: [],
    reading: [],
    models: [],
    routes: ['access', 'reading', 'models'],
  },
  assembly: { roles: [] },
  cli: { access: [], demo: [], doctor: ['access'] },
  'cli/demo': { languages: [], vocabulary: [] },
};

/** In the direction of the data. */
export const LAYERS = Object.keys(ROOMS['']!);
