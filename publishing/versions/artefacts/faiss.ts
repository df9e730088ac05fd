/** A search index in the stores: a row in Postgres describes it; the index stays a file in its folder. */
import { FreshetError } from '../../../runtime/process/errors.js';
import type { Queryable } from '../../../runtime/stores/database.js';
import type { Manifest } from '../manifest.js';
import { AT } from '../place.js';
import type { Contents } from './contents.js';
import { filesOnly } from './files-only.js';

/** FAISS's own format; Python's faiss opens it. */
export const INDEX_FILE = 'index.faiss';

/** Row of `faiss_indexes`. */
interface IndexRow {
  readonly model: string;
  readonly dimension: number;
  readonly count: number;
  readonly kind: string;
  /** Of the index file, hex. */
  readonly sha256: string;
}

export const faiss: Contents = {
  ...filesOnly,

  async stageRows(place, version, manifest) {
    const row = rowOfManifest(manifest);
    const { model, dimension, count, kind, sha256 } = row;
    const given = [version.version, version.epoch, place.clock.now(), model, dimension, count, kind, sha256];
    if ((await place.database.execute(UPSERT, given)) !== 1)
      throw new FreshetError('fenced', `Version ${version.version} of faiss was abandoned while it was being staged.`);
    const held = await indexRow(place.database, version.version);
    if (JSON.stringify(held) !== JSON.stringify(row))
      throw new FreshetError(
        'invalid_data',
        `Postgres holds a different index from version ${version.version} of faiss.`,
      );
    return filesOnly.stageRows(place, version, manifest);
  },

  async removeRows({ database }, { version }) {
    await database.execute('DELETE FROM faiss_indexes WHERE version = $1', [version]);
  },
};

/** Null if the version has none. */
export async function indexRow(database: Queryable, version: number): Promise<IndexRow | null> {
  const [row] = await database.query<IndexRow>(
    'SELECT model, dimension, count, kind, sha256 FROM faiss_indexes WHERE version = $1',
    [version],
  );
  return row ?? null;
}

function rowOfManifest({ settings, counts, files }: Manifest): IndexRow {
  const { model, dimension, kind } = settings;
  const { products: count } = counts;
  const sha256 = files.find(({ name }) => name === INDEX_FILE)?.sha256;
  const missing = (what: string) =>
    new FreshetError('invalid_data', `The manifest of the index does not say what it holds: ${what} is missing.`);
  if (sha256 === undefined) throw missing(`file ${INDEX_FILE}`);
  if (typeof model !== 'string') throw missing('settings.model');
  if (typeof dimension !== 'number') throw missing('settings.dimension');
  if (typeof kind !== 'string') throw missing('settings.kind');
  if (typeof count !== 'number') throw missing('counts.products');
  return { model, dimension, count, kind, sha256 };
}

const UPSERT = `
WITH gate AS (
  UPDATE versions SET touched_at = ${AT(3)}
  WHERE artefact = 'faiss' AND version = $1 AND state = 'staged' AND epoch = $2::bigint
  RETURNING 1
)
INSERT INTO faiss_indexes (version, model, dimension, count, kind, sha256)
SELECT $1, $4::text, $5::integer, $6::bigint, $7::text, $8::text FROM gate
ON CONFLICT (version) DO UPDATE
SET model = excluded.model, dimension = excluded.dimension, count = excluded.count, kind = excluded.kind,
    sha256 = excluded.sha256`;
