/**
 * Factors in Postgres: a page of rows per statement, and a SHA-256 of each page computed by Postgres itself, so that
 * reading back moves 32 bytes a page. The digest of a version is the digest of its pages' digests, with rows in byte
 * order of their ids, PAGE_ROWS each.
 */
import { createHash } from 'node:crypto';
import { FreshetError } from '../../../runtime/process/errors.js';
import type { Queryable, SqlValue } from '../../../runtime/stores/database.js';
import { arrayParameter } from '../../../runtime/stores/postgres/array-parameter.js';
import { AT, type VersionsPlace } from '../place.js';
import type { StagedVersion } from './contents.js';
import type { FactorRow } from './factor-file.js';

export type FactorTable = 'als_user_factors' | 'als_item_factors';

interface SentRow {
  readonly id: string;
  /** The array in its binary form. */
  readonly sent: Buffer;
}

/** 1,000 rows of 64 factors are half a megabyte on the wire and take Postgres about 10 ms. */
const PAGE_ROWS = 1_000;
const DELETED_AT_ONCE = 20_000;
/** Header of an array in its binary form: dimensions, nulls, type, length, lower bound. */
const HEAD_BYTES = 20;
const FLOAT4_TYPE_ID = 700;

/** Writes the rows of a file into a table and returns their digest. Errors: 'fenced' if the version was abandoned. */
export async function writeRows(
  place: VersionsPlace,
  version: StagedVersion,
  table: FactorTable,
  rows: AsyncIterable<FactorRow>,
): Promise<string> {
  const digest = createHash('sha256');
  for await (const page of pagesOf(rows)) {
    digest.update(digestOf(page));
    await writePage(place, version, table, page);
  }
  return digest.digest('hex');
}

async function writePage(
  { database, clock }: VersionsPlace,
  { version, epoch }: StagedVersion,
  table: FactorTable,
  page: readonly FactorRow[],
): Promise<void> {
  const width = page[0]!.factors.length;
  const all = new Float32Array(page.length * width);
  for (const [i, { factors }] of page.entries()) all.set(factors, i * width);
  const parameters: SqlValue[] = [
    version,
    epoch,
    clock.now(),
    width,
    arrayParameter('text', page, ({ id }) => id),
    arrayParameter('float4', all, (factor) => factor, HEAD_BYTES + all.length * 8),
  ];
  if ((await database.execute(insert(table), parameters)) !== page.length)
    throw new FreshetError('fenced', `Version ${version} of als was abandoned while its factors were being written.`);
}

/** Digest of a version's rows in Postgres, computed as in writeRows. */
export async function digestOfTable(database: Queryable, version: number, table: FactorTable): Promise<string> {
  const digest = createHash('sha256');
  for (let after = ''; ; ) {
    const [page] = await database.query<{ rows: number; last: string | null; sha256: Buffer | null }>(
      pageDigest(table),
      [version, after, PAGE_ROWS],
    );
    const { rows, last, sha256 } = page!;
    if (sha256 !== null) digest.update(sha256);
    if (rows < PAGE_ROWS) return digest.digest('hex');
    after = last!;
  }
}

/**
 * The rows that Postgres holds for a version, a page at a time, in byte order of their ids. The next page is fetched
 * while one is being processed.
 */
export async function* pagesOfTable(
  database: Queryable,
  version: number,
  table: FactorTable,
): AsyncGenerator<FactorRow[]> {
  const read = (after: string): Promise<SentRow[]> => {
    const page = database.query<SentRow>(readPage(table), [version, after, PAGE_ROWS]);
    // Its error is thrown when this page is awaited.
    page.catch(() => undefined);
    return page;
  };
  for (let coming: Promise<SentRow[]> | null = read(''); coming !== null; ) {
    const rows: SentRow[] = await coming;
    coming = rows.length < PAGE_ROWS ? null : read(rows.at(-1)!.id);
    if (rows.length > 0) yield rows.map(({ id, sent }) => ({ id, factors: factorsOf(sent) }));
  }
}

/** Null if the version has no such row. */
export async function rowOf(
  database: Queryable,
  version: number,
  table: FactorTable,
  id: string,
): Promise<Float32Array | null> {
  const [row] = await database.query<{ sent: Buffer }>(readRow(table), [version, id]);
  return row === undefined ? null : factorsOf(row.sent);
}

/** Does nothing if there are none; deletes a few thousand rows at a time, because statements have a time limit. */
export async function deleteRows(database: Queryable, version: number, table: FactorTable): Promise<void> {
  while ((await database.execute(deleteSome(table), [version, DELETED_AT_ONCE])) > 0);
}

/** Digest of one page, as Postgres computes it. */
export function digestOf(page: readonly FactorRow[]): Buffer {
  const hash = createHash('sha256');
  for (const { id, factors } of page) {
    const name = Buffer.from(id);
    const row = Buffer.allocUnsafe(4 + name.length + HEAD_BYTES + factors.length * 8);
    let at = row.writeInt32BE(name.length, 0);
    at += name.copy(row, at);
    for (const part of [1, 0, FLOAT4_TYPE_ID, factors.length, 1]) at = row.writeInt32BE(part, at);
    for (const factor of factors) at = row.writeFloatBE(factor, row.writeInt32BE(4, at));
    hash.update(row);
  }
  return hash.digest();
}

async function* pagesOf(rows: AsyncIterable<FactorRow>): AsyncGenerator<FactorRow[]> {
  let page: FactorRow[] = [];
  for await (const row of rows) {
    page.push(row);
    if (page.length < PAGE_ROWS) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

/** Factors from an array in its binary form, as array_send returns it. */
function factorsOf(sent: Buffer): Float32Array {
  const factors = new Float32Array(Math.max(0, (sent.length - HEAD_BYTES) / 8));
  for (let i = 0; i < factors.length; i++) factors[i] = sent.readFloatBE(HEAD_BYTES + i * 8 + 4);
  return factors;
}

/** One array holds all factors of the page: a slice is found by its position, and no text is parsed. */
const insert = (table: FactorTable) => `
WITH gate AS (
  UPDATE versions SET touched_at = ${AT(3)}
  WHERE artefact = 'als' AND version = $1 AND state = 'staged' AND epoch = $2::bigint
  RETURNING 1
)
INSERT INTO ${table} (version, id, factors)
SELECT $1, given.id, ($6::float4[])[(given.nth - 1) * $4::integer + 1 : given.nth * $4::integer]
FROM gate, unnest($5::text[]) WITH ORDINALITY AS given (id, nth)`;

const pageDigest = (table: FactorTable) => `
SELECT count(*)::integer AS rows, max(id) AS last,
       sha256(string_agg(int4send(octet_length(id)) || convert_to(id, 'UTF8') || array_send(factors), '' ORDER BY id)) AS sha256
FROM (SELECT id, factors FROM ${table} WHERE version = $1 AND id > $2 ORDER BY id LIMIT $3) AS page`;

const readPage = (table: FactorTable) => `
SELECT id, array_send(factors) AS sent FROM ${table} WHERE version = $1 AND id > $2 ORDER BY id LIMIT $3`;

const readRow = (table: FactorTable) =>
  `SELECT array_send(factors) AS sent FROM ${table} WHERE version = $1 AND id = $2`;

const deleteSome = (table: FactorTable) => `
DELETE FROM ${table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM ${table} WHERE version = $1 LIMIT $2))`;
