/**
 * Every setting of the product, from the environment, checked by one strict schema before anything starts. A malformed
 * value, an unknown FRESHET_* or a near miss of a known name stops the start with a sentence.
 */
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { FreshetError } from './errors.js';

/** Plain decimals only: what JavaScript also takes for a number (0x10, blanks, 1e3) is a slip here. */
const decimal = z
  .string()
  .regex(/^-?\d+(\.\d+)?$/, 'a number')
  .transform(Number);
const number = (min: number, max: number) => decimal.pipe(z.number().min(min).max(max));
const integer = (min: number, max: number) => decimal.pipe(z.number().int().min(min).max(max));
const flag = z.enum(['true', 'false']).transform((value) => value === 'true');
const token = z.strictObject({
  sha256: z.string().regex(/^[0-9a-f]{64}$/, '64 hex digits'),
  role: z.enum(['reader', 'producer', 'operator', 'admin']),
  tenant: z.string().min(1).max(256),
});
const tokens = z.string().transform((text, context) => {
  try {
    return z.array(token).min(1).parse(JSON.parse(text));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : 'not JSON';
    context.addIssue({ code: 'custom', message: `an array of {"sha256", "role", "tenant"}: ${why}` });
    return z.NEVER;
  }
});

export type AccessToken = z.infer<typeof token>;

const url = (schemes: readonly string[]) =>
  z.url({
    protocol: new RegExp(`^(${schemes.join('|')})$`),
    error: `a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
  });

const ROLES = [
  'processor',
  'publisher',
  'serving',
  'snapshotter:stopwords',
  'snapshotter:faiss',
  'snapshotter:als',
] as const;
export type Role = (typeof ROLES)[number];
export const ALL_ROLES: readonly Role[] = ROLES;

const schema = z.strictObject({
  KAFKA_BROKERS: z
    .string()
    .regex(/^[^,\s/]+:\d{1,5}(,[^,\s/]+:\d{1,5})*$/, 'host:port, several separated by commas')
    .transform((text) => text.split(','))
    .optional(),
  KAFKA_CLIENT_ID: z.string().min(1).max(256).default('freshet'),
  KAFKA_SSL_ENABLED: flag.default(false),
  KAFKA_SSL_CA_FILE: z.string().optional(),
  KAFKA_SSL_CERT_FILE: z.string().optional(),
  KAFKA_SSL_KEY_FILE: z.string().optional(),
  KAFKA_SASL_MECHANISM: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional(),
  KAFKA_SASL_USERNAME: z.string().optional(),
  KAFKA_SASL_PASSWORD: z.string().optional(),
  SCHEMA_REGISTRY_URL: url(['http', 'https']).optional(),
  SCHEMA_REGISTRY_USERNAME: z.string().optional(),
  SCHEMA_REGISTRY_PASSWORD: z.string().optional(),
  REDIS_URL: url(['redis', 'rediss']).optional(),
  REDIS_PASSWORD: z.string().min(1).optional(),
  REDIS_KEY_PREFIX: z
    .string()
    .regex(/^[\w:.{}-]*$/)
    .default(''),
  DATABASE_URL: url(['postgres', 'postgresql']).optional(),
  ARTIFACTS_DIR: z.string().optional(),
  FRESHET_DATA_DIR: z.string().default('data'),
  HOST: z.string().default('127.0.0.1'),
  PORT: integer(0, 65_535).default(8080),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  API_TOKENS: tokens.optional(),
  API_TOKENS_FILE: z.string().optional(),
  PARTITIONS: integer(1, 1000).optional(),
  COMMIT_INTERVAL_MS: integer(1, 60_000).default(100),
  CHANGELOG_INTERVAL_S: integer(1, 3600).default(30),
  CHECKPOINT_INTERVAL_S: integer(0, 86_400).default(60),
  INTERACTIONS_INTERVAL_S: integer(1, 86_400).default(600),
  POPULARITY_HALF_LIFE_H: number(1, 24_000).default(14 * 24),
  AFFINITY_HALF_LIFE_H: number(1, 24_000).default(30 * 24),
  DUPLICATE_HORIZON_H: number(0.01, 168).default(6),
  ALLOW_CREATE_TIME: flag.default(false),
  AUDIT_SAMPLE: number(0, 1).default(0.01),
  AUDIT_INTERVAL_S: integer(1, 86_400).default(300),
  POSTGRES_COALESCE_MS: integer(0, 60_000).default(500),
  TERMS_INTERVAL_S: integer(1, 3600).default(60),
  STOPWORDS_WORDS_MAX: integer(1, 20_000).default(3_000),
  STOPWORDS_CONFIDENCE_MIN: number(0, 1).default(0.2),
  STOPWORDS_DOCUMENTS_MIN: integer(1, 1_000_000).default(50),
  STOPWORDS_CHANGE_ALLOWED: flag.default(false),
  FAISS_INDEX: z.enum(['auto', 'flat', 'hnsw', 'ivf']).default('auto'),
  FAISS_RECALL_MIN: number(0, 1).default(0.95),
  FAISS_EF_SEARCH: integer(1, 4096).optional(),
  FAISS_NPROBE: integer(1, 65_536).optional(),
  FAISS_CHANGE_ALLOWED: flag.default(false),
  ALS_FACTORS: integer(1, 512).default(64),
  ALS_REGULARIZATION: number(0.000001, 1_000_000).default(10),
  ALS_ITERATIONS: integer(1, 1_000).default(15),
  ALS_ALPHA: number(0, 10_000).default(1),
  ALS_SEED: integer(0, 2 ** 31 - 1).default(1),
  ALS_THREADS: integer(1, 256).optional(),
  ALS_INTERACTIONS_MIN: integer(1, 255).default(5),
  SNAPSHOT_MEMORY_MB: integer(64, 1_000_000).default(1024),
  EMBEDDING_MODEL_DIR: z.string().optional(),
  EMBEDDING_THREADS: integer(1, 256).default(1),
  FEATURE_VERSION_POPULARITY: integer(1, 2 ** 31 - 1).optional(),
  FEATURE_VERSION_AFFINITY: integer(1, 2 ** 31 - 1).optional(),
  FEATURE_VERSION_INTERACTIONS: integer(1, 2 ** 31 - 1).optional(),
  FEATURE_VERSION_STOPWORDS: integer(1, 2 ** 31 - 1).optional(),
  FEATURE_VERSION_ALS: integer(1, 2 ** 31 - 1).optional(),
  FEATURE_VERSION_FAISS: integer(1, 2 ** 31 - 1).optional(),
  DEMO_RATE: number(0, 10_000).default(20),
  DEMO_SEED: integer(0, 2 ** 31 - 1).default(1),
});

export type Settings = Readonly<z.infer<typeof schema>>;
export const SETTING_NAMES = Object.keys(schema.shape) as (keyof Settings)[];
const SECRETS = /PASSWORD|TOKEN|DATABASE_URL|REDIS_URL|SCHEMA_REGISTRY_URL/;

/** Settings that mean nothing without another one: left alone they would be ignored in silence. */
const NEEDS: readonly (readonly [name: keyof Settings, needs: keyof Settings])[] = [
  ['KAFKA_SASL_MECHANISM', 'KAFKA_BROKERS'],
  ['KAFKA_SASL_MECHANISM', 'KAFKA_SASL_USERNAME'],
  ['KAFKA_SASL_MECHANISM', 'KAFKA_SASL_PASSWORD'],
  ['KAFKA_SASL_USERNAME', 'KAFKA_SASL_MECHANISM'],
  ['KAFKA_SASL_PASSWORD', 'KAFKA_SASL_MECHANISM'],
  ['KAFKA_SSL_ENABLED', 'KAFKA_BROKERS'],
  ['KAFKA_SSL_CA_FILE', 'KAFKA_SSL_ENABLED'],
  ['KAFKA_SSL_CERT_FILE', 'KAFKA_SSL_ENABLED'],
  ['KAFKA_SSL_CERT_FILE', 'KAFKA_SSL_KEY_FILE'],
  ['KAFKA_SSL_KEY_FILE', 'KAFKA_SSL_ENABLED'],
  ['KAFKA_SSL_KEY_FILE', 'KAFKA_SSL_CERT_FILE'],
  ['SCHEMA_REGISTRY_USERNAME', 'SCHEMA_REGISTRY_URL'],
  ['SCHEMA_REGISTRY_USERNAME', 'SCHEMA_REGISTRY_PASSWORD'],
  ['SCHEMA_REGISTRY_PASSWORD', 'SCHEMA_REGISTRY_USERNAME'],
  ['REDIS_PASSWORD', 'REDIS_URL'],
];

/**
 * Reads and checks settings; an empty value counts as unset, relative folders count from the working directory. Throws
 * FreshetError('settings') naming every problem at once.
 */
export function loadSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  const problems: string[] = [];
  const given: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined) continue;
    if (isKnown(name)) {
      if (value !== '') given[name] = value;
      continue;
    }
    const problem = strangerProblem(name);
    if (problem !== null) problems.push(problem);
  }
  const result = schema.safeParse(given);
  if (!result.success) {
    for (const issue of result.error.issues) {
      const name = issue.path.join('.');
      const shown = isSecret(name) ? '' : ` (it is ${JSON.stringify(given[name])})`;
      problems.push(`${name}: ${issue.message}${shown}.`);
    }
  } else {
    for (const [name, needs] of NEEDS) {
      if (result.data[name] && !result.data[needs])
        problems.push(`${name} is set, but ${needs}, which it needs, is not.`);
    }
    if (result.data.API_TOKENS && result.data.API_TOKENS_FILE)
      problems.push('API_TOKENS and API_TOKENS_FILE are both set: give one of them.');
  }
  if (problems.length > 0 || !result.success)
    throw new FreshetError('settings', `Wrong settings:\n  ${problems.join('\n  ')}`);
  const { FRESHET_DATA_DIR, ARTIFACTS_DIR, EMBEDDING_MODEL_DIR, ...rest } = result.data;
  return {
    ...rest,
    ...(EMBEDDING_MODEL_DIR === undefined ? {} : { EMBEDDING_MODEL_DIR: resolve(EMBEDDING_MODEL_DIR) }),
    FRESHET_DATA_DIR: resolve(FRESHET_DATA_DIR),
    ...(ARTIFACTS_DIR === undefined ? {} : { ARTIFACTS_DIR: resolve(ARTIFACTS_DIR) }),
  };
}

/** The folder of artefacts: ARTIFACTS_DIR, else a folder in the data folder. */
export function artifactsFolder({ ARTIFACTS_DIR, FRESHET_DATA_DIR }: Settings): string {
  return ARTIFACTS_DIR ?? join(FRESHET_DATA_DIR, 'artifacts');
}

/** Which settings were given, as against those at their default. */
export function givenSettings(environment: Readonly<Record<string, string | undefined>>): ReadonlySet<string> {
  return new Set(SETTING_NAMES.filter((name) => environment[name] !== undefined && environment[name] !== ''));
}

function isKnown(name: string): boolean {
  return (SETTING_NAMES as string[]).includes(name);
}

/** What is wrong with a name that is no setting; null for somebody else's. */
function strangerProblem(name: string): string | null {
  const near = nearest(name);
  if (name.startsWith('FRESHET_'))
    return `${name} is not a setting${near ? `; did you mean ${near}?` : '.'} "freshet doctor" lists them.`;
  return near ? `${name} is not a setting; did you mean ${near}? Unset it if it belongs to something else.` : null;
}

/** Names whose values must not be shown. */
export function isSecret(name: string): boolean {
  return SECRETS.test(name);
}

/**
 * A known name one slip away: one edit, or two neighbours swapped, in names of at least six letters. Names that differ
 * by a whole word are somebody else's (Kubernetes injects REDIS_PORT and its like).
 */
function nearest(name: string): string | null {
  if (name.length < 6) return null;
  if (isKnown(name.toUpperCase())) return name.toUpperCase();
  for (const known of SETTING_NAMES) {
    if (known.length >= 6 && Math.abs(known.length - name.length) <= 1 && isOneSlip(name, known)) return known;
  }
  if (!name.startsWith('FRESHET_')) return null;
  const bare = name.slice('FRESHET_'.length);
  return (SETTING_NAMES as string[]).find((known) => known === bare || isOneSlip(bare, known)) ?? null;
}

function isOneSlip(a: string, b: string): boolean {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let endA = a.length;
  let endB = b.length;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
    endA--;
    endB--;
  }
  const restA = a.slice(start, endA);
  const restB = b.slice(start, endB);
  if (restA.length <= 1 && restB.length <= 1) return true;
  return restA.length === 2 && restB.length === 2 && restA[0] === restB[1] && restA[1] === restB[0];
}
