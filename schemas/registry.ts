/**
 * The schema registry (Confluent REST API), used for the control plane only: the client's own serialisers are 15 to 40
 * times slower than avsc. The package takes about 80 MB, so it is optional and loaded only when a registry is configured.
 */
import type { Compatibility, SchemaInfo, SchemaMetadata } from '@confluentinc/schemaregistry';
import type { SchemaLookup } from './codec.js';
import { importOptional } from './optional-package.js';

/** Why a call to the registry failed: only `unreachable` is worth a retry. */
type RegistryProblem = 'unreachable' | 'access' | 'incompatible' | 'refused';

export class RegistryError extends Error {
  readonly problem: RegistryProblem;

  constructor(problem: RegistryProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RegistryError';
    this.problem = problem;
  }
}

interface RegistryAddress {
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** Error codes of the REST API that mean "not found", as distinct from the 404 of a wrong URL. */
const SUBJECT_NOT_FOUND = 40401;
const VERSION_NOT_FOUND = 40402;
const SCHEMA_NOT_FOUND = 40403;
const SUBJECT_COMPATIBILITY_NOT_FOUND = 40408;
const INCOMPATIBLE = 409;

const REQUEST_TIMEOUT_MS = 5_000;

/** The part of the client that we use; the rest of its surface stays out of reach. */
interface Client {
  getBySubjectAndId(subject: string, id: number): Promise<SchemaInfo>;
  getLatestSchemaMetadata(subject: string): Promise<SchemaMetadata>;
  testSubjectCompatibility(subject: string, schema: SchemaInfo): Promise<boolean>;
  getCompatibility(subject: string): Promise<Compatibility>;
  getDefaultCompatibility(): Promise<Compatibility>;
  register(subject: string, schema: SchemaInfo): Promise<number>;
  getAllSubjects(): Promise<string[]>;
}

/** One registry. Every method throws RegistryError. */
export class Registry implements SchemaLookup {
  readonly #client: Client;
  /** The address without credentials, for messages. */
  readonly #shown: string;

  private constructor(client: Client, shown: string) {
    this.#client = client;
    this.#shown = shown;
  }

  /** Loads the client; makes no request. The URL may contain the credentials. Throws NotInstalled. */
  static async open(address: RegistryAddress): Promise<Registry> {
    const url = new URL(address.url);
    const username = address.username ?? decodeURIComponent(url.username);
    const password = address.password ?? decodeURIComponent(url.password);
    url.username = '';
    url.password = '';
    const shown = url.href.replace(/\/$/, '');
    const { SchemaRegistryClient } = await importOptional(
      '@confluentinc/schemaregistry',
      () => import('@confluentinc/schemaregistry'),
    );
    const client = new SchemaRegistryClient({
      baseURLs: [shown],
      maxRetries: 2,
      retriesWaitMs: 200,
      retriesMaxWaitMs: 1_000,
      createAxiosDefaults: { timeout: REQUEST_TIMEOUT_MS },
      ...(username === ''
        ? {}
        : { basicAuthCredentials: { credentialsSource: 'USER_INFO', userInfo: `${username}:${password}` } }),
    });
    return new Registry(client, shown);
  }

  /** The writer's schema as JSON; null when the registry has no Avro schema with this id. */
  async schemaById(id: number): Promise<string | null> {
    const info = await this.#orNull([SCHEMA_NOT_FOUND], () => this.#client.getBySubjectAndId('', id));
    if (info === null || (info.schemaType !== undefined && info.schemaType !== 'AVRO')) return null;
    return info.schema;
  }

  /** The newest schema of a subject as JSON; null when the subject is new. */
  async latest(subject: string): Promise<string | null> {
    const found = await this.#orNull([SUBJECT_NOT_FOUND, VERSION_NOT_FOUND], () =>
      this.#client.getLatestSchemaMetadata(subject),
    );
    return found?.schema ?? null;
  }

  /** Whether the registry would accept this schema after the subject's newest one. */
  isCompatible(subject: string, schemaJson: string): Promise<boolean> {
    return this.#call(() => this.#client.testSubjectCompatibility(subject, avroInfo(schemaJson)));
  }

  /** The compatibility rule of a subject: its own, or else the registry's default. */
  async compatibilityLevel(subject: string): Promise<string> {
    const own = await this.#orNull([SUBJECT_NOT_FOUND, SUBJECT_COMPATIBILITY_NOT_FOUND], () =>
      this.#client.getCompatibility(subject),
    );
    return own ?? (await this.#call(() => this.#client.getDefaultCompatibility()));
  }

  /** Registers the schema, or finds it if it is registered already; returns its id. */
  register(subject: string, schemaJson: string): Promise<number> {
    return this.#call(() => this.#client.register(subject, avroInfo(schemaJson)));
  }

  subjects(): Promise<string[]> {
    return this.#call(() => this.#client.getAllSubjects());
  }

  async #orNull<T>(codes: readonly number[], request: () => Promise<T>): Promise<T | null> {
    try {
      return await request();
    } catch (error) {
      if (codes.includes(errorCodeOf(error))) return null;
      throw this.#problem(error);
    }
  }

  async #call<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      throw this.#problem(error);
    }
  }

  #problem(error: unknown): RegistryError {
    const message = error instanceof Error ? error.message : String(error);
    const status = statusOf(error);
    const options = { cause: error };
    if (status === 401 || status === 403)
      return new RegistryError(
        'access',
        `The schema registry at ${this.#shown} refuses access (${status}): check SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD.`,
        options,
      );
    if (status === INCOMPATIBLE)
      return new RegistryError('incompatible', `The schema registry refuses the schema: ${message}.`, options);
    if (status === 404 && errorCodeOf(error) < 0)
      return new RegistryError(
        'unreachable',
        `${this.#shown} answers, but not as a schema registry (404): check SCHEMA_REGISTRY_URL.`,
        options,
      );
    if (status === 0 || status === 408 || status === 429 || status >= 500)
      return new RegistryError(
        'unreachable',
        `The schema registry at ${this.#shown} cannot be reached: ${message || 'no answer'}.`,
        options,
      );
    return new RegistryError('refused', `The schema registry at ${this.#shown} says: ${message} (${status}).`, options);
  }
}

function avroInfo(schemaJson: string): SchemaInfo {
  return { schemaType: 'AVRO', schema: schemaJson };
}

/** The API's own error code; -1 when the answer did not come from a registry. */
function errorCodeOf(error: unknown): number {
  return numberField(error, 'errorCode', -1);
}

/** HTTP status; 0 when there was no answer. */
function statusOf(error: unknown): number {
  return numberField(error, 'status', 0);
}

function numberField(error: unknown, name: string, otherwise: number): number {
  if (typeof error !== 'object' || error === null) return otherwise;
  const value: unknown = Reflect.get(error, name);
  return typeof value === 'number' ? value : otherwise;
}
