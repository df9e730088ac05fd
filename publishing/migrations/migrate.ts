/**
 * Numbered migrations, `NNNN_name.up.sql` and its `.down.sql`, each applied in one transaction under an advisory lock,
 * so that several processes may start at once. Each applied migration is recorded with a checksum: an edited migration
 * is refused, because nothing says which of its two texts the database follows.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FreshetError } from '../../runtime/process/errors.js';
import type { Logger } from '../../runtime/process/logger.js';
import type { Database, Queryable } from '../../runtime/stores/database.js';
import { projectRoot } from '../../schemas/project-root.js';

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly up: string;
  readonly down: string;
  /** SHA-256 of the up text. */
  readonly checksum: string;
}

interface AppliedMigration {
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
  readonly applied_at: Date;
}

/** "freshet" in ASCII: one lock for every release of ours, in any database. */
const LOCK_KEY = 0x66726573;

const CREATE_TABLE = `CREATE TABLE IF NOT EXISTS freshet_migrations (
  number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`;

/** Reads a folder of migrations, in order. Throws FreshetError('state') on a gap, a duplicate number or a lone file. */
export async function readMigrations(folder = join(projectRoot, 'publishing', 'migrations')): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort();
  const migrations: Migration[] = [];
  for (const file of files) {
    const match = /^(\d{4})_([a-z0-9_]+)\.(up|down)\.sql$/.exec(file);
    if (match === null)
      throw new FreshetError('state', `${file} is not a migration: expected NNNN_name.up.sql or .down.sql`);
    const [, digits, name, direction] = match as unknown as [string, string, string, 'up' | 'down'];
    if (direction === 'down') {
      if (!files.includes(`${digits}_${name}.up.sql`))
        throw new FreshetError('state', `migration ${file} has no up file`);
      continue;
    }
    const number = Number(digits);
    if (number !== migrations.length + 1)
      throw new FreshetError('state', `migration ${file}: expected number ${migrations.length + 1}`);
    const down = `${digits}_${name}.down.sql`;
    if (!files.includes(down)) throw new FreshetError('state', `migration ${file} has no ${down}`);
    // A checkout with other line ends is the same migration.
    const up = (await readFile(join(folder, file), 'utf8')).replaceAll('\r\n', '\n');
    const checksum = createHash('sha256').update(up).digest('hex');
    migrations.push({ number, name: name!, up, down: await readFile(join(folder, down), 'utf8'), checksum });
  }
  return migrations;
}

/**
 * Applies missing migrations and returns their names. Throws FreshetError('state') if an applied migration's text has
 * changed since. Migrations of a newer release are left alone: in a rolling upgrade, old processes may still start.
 */
export async function migrateUp(
  database: Database,
  logger?: Logger,
  migrations?: readonly Migration[],
): Promise<string[]> {
  const all = migrations ?? (await readMigrations());
  const done: string[] = [];
  for (;;) {
    const step = await database.transaction(async (connection) => {
      const applied = await lockAndRead(connection, all);
      const next = all.find(({ number }) => !applied.some((row) => row.number === number));
      if (next === undefined) {
        const unknown = applied.filter((row) => !all.some(({ number }) => number === row.number));
        if (unknown.length > 0)
          logger?.warn(
            { event: 'migrations_newer', migrations: unknown.map(label) },
            'The database has migrations from a newer release',
          );
        return null;
      }
      await connection.execute(next.up);
      await connection.execute('INSERT INTO freshet_migrations (number, name, checksum) VALUES ($1, $2, $3)', [
        next.number,
        next.name,
        next.checksum,
      ]);
      return next;
    });
    if (step === null) return done;
    done.push(label(step));
    logger?.info({ event: 'migration_applied', migration: label(step) }, 'Migration applied');
  }
}

/** Reverts every migration above `to` (0: all), newest first, and returns their names. */
export async function migrateDown(
  database: Database,
  to: number,
  logger?: Logger,
  migrations?: readonly Migration[],
): Promise<string[]> {
  const all = migrations ?? (await readMigrations());
  const done: string[] = [];
  for (;;) {
    const step = await database.transaction(async (connection) => {
      const applied = await lockAndRead(connection, all);
      const newest = applied.at(-1);
      if (newest === undefined || newest.number <= to) return null;
      const migration = all.find(({ number }) => number === newest.number);
      if (migration === undefined)
        throw new FreshetError(
          'state',
          `Migration ${label(newest)} is from a newer release: revert it with that release.`,
        );
      await connection.execute(migration.down);
      await connection.execute('DELETE FROM freshet_migrations WHERE number = $1', [migration.number]);
      return migration;
    });
    if (step === null) return done;
    done.push(label(step));
    logger?.info({ event: 'migration_taken_back', migration: label(step) }, 'Migration reverted');
  }
}

async function lockAndRead(connection: Queryable, all: readonly Migration[]): Promise<AppliedMigration[]> {
  await connection.query('SELECT pg_advisory_xact_lock($1)', [LOCK_KEY]);
  await connection.execute(CREATE_TABLE);
  const applied = await connection.query<AppliedMigration>(
    'SELECT number, name, checksum, applied_at FROM freshet_migrations ORDER BY number',
  );
  for (const row of applied) {
    const migration = all.find(({ number }) => number === row.number);
    if (migration !== undefined && migration.checksum !== row.checksum)
      throw new FreshetError(
        'state',
        `Migration ${label(row)} has changed since it was applied on ${row.applied_at.toISOString()}. Restore its ` +
          'original text and write the change as a new migration.',
      );
  }
  return applied;
}

function label({ number, name }: Pick<Migration, 'number' | 'name'>): string {
  return `${String(number).padStart(4, '0')}_${name}`;
}
