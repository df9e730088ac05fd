/** Published versions: listing them, showing the current one, and switching between them. */
import type { FastifyInstance } from 'fastify';
import { Fields } from '../../ingest/fields.js';
import { InputError } from '../../ingest/input-error.js';
import type { Runs } from '../../jobs/runs.js';
import { ARTEFACTS, type Artefact } from '../../publishing/layout.js';
import type { VersionEntry, VersionList } from '../../publishing/versions/versions.js';
import { hasCode, messageOf } from '../../runtime/process/errors.js';
import { READ_MS_MAX } from '../limits.js';
import type { VersionSwitch } from '../ports.js';
import { Problem } from '../problem.js';
import { access, CHECKS_ITSELF, described } from './declare.js';
import { orBadRequest } from './ids.js';
import { parameters, text } from './schema.js';
import { answers, json } from './shapes.js';

const VERSION_MAX = 2 ** 31 - 1;
const REASON_LENGTH_MAX = 1_000;

interface VersionRoutes {
  readonly versions: VersionSwitch;
  readonly runs: Pick<Runs, 'jobs'>;
}

export function addVersionRoutes(app: FastifyInstance, { versions, runs }: VersionRoutes): void {
  app.get(
    '/v1/versions',
    {
      config: access('read'),
      handlerTimeout: READ_MS_MAX,
      schema: described(
        { operationId: 'allVersions', tag: 'operation', summary: 'Which version of each artefact is current.' },
        { response: answers({ 200: json('AllVersions', 'Artefacts with a version, or a job that makes one.') }, []) },
      ),
    },
    async () => {
      const lists = await Promise.all(ARTEFACTS.map((artefact) => versions.list(artefact)));
      const shorts = lists.map((list) => inShort(list, runs));
      return { artefacts: shorts.filter(({ count, job }) => count > 0 || job !== null) };
    },
  );

  app.get<Named>(
    '/v1/versions/:artefact',
    {
      config: access('read'),
      handlerTimeout: READ_MS_MAX,
      schema: described(
        { operationId: 'versions', tag: 'operation', summary: 'The versions of an artefact, newest first.' },
        { params: PARAMS, response: answers({ 200: json('Versions', 'Versions and their manifests.') }, [404]) },
      ),
    },
    async (request) => answerOf(await versions.list(artefactOf(request.params.artefact))),
  );

  addSwitch(app, {
    name: 'rollback',
    summary: 'Goes back to the previously current version, or to the one given.',
    shape: 'Rollback',
    act: (artefact, body) => {
      const fields = new Fields(body ?? {}, 'a rollback');
      const to = optional(fields, 'to');
      const reason = fields.any('reason') == null ? undefined : reasonOf(fields);
      fields.end();
      return () =>
        versions.rollback(artefact, {
          ...(to === undefined ? {} : { to }),
          ...(reason === undefined ? {} : { reason }),
        });
    },
  });
  addSwitch(app, {
    name: 'promote',
    summary: 'Makes a version current: the one given, or the newest verified one.',
    shape: 'Promotion',
    act: (artefact, body) => {
      const fields = new Fields(body ?? {}, 'a promotion');
      const version = optional(fields, 'version');
      fields.end();
      return () => versions.promote(artefact, version);
    },
  });
  addSwitch(app, {
    name: 'pin',
    summary: 'Keeps a version current, whatever else is published, until null is pinned.',
    shape: 'Pin',
    act: (artefact, body) => {
      const fields = new Fields(body, 'a pin');
      if (fields.any('version') === undefined)
        throw new InputError('"version" is missing: give a version to pin, or null to unpin.');
      const version = optional(fields, 'version') ?? null;
      fields.end();
      return () => versions.pin(artefact, version);
    },
  });
}

interface Named {
  Params: { artefact: string };
}

const PARAMS = parameters({ artefact: { ...text, description: `One of ${ARTEFACTS.join(', ')}.` } }, ['artefact']);

interface Switch {
  readonly name: 'rollback' | 'promote' | 'pin';
  readonly summary: string;
  readonly shape: string;
  /** Reads the body (throws InputError) and returns the action to run. */
  readonly act: (artefact: Artefact, body: unknown) => () => Promise<VersionList>;
}

function addSwitch(app: FastifyInstance, { name, summary, shape, act }: Switch): void {
  app.post<Named>(
    `/v1/versions/:artefact/${name}`,
    {
      ...CHECKS_ITSELF,
      config: access('operate'),
      schema: described(
        { operationId: `${name}Version`, tag: 'operation', summary, description: 'Answers once readers see it.' },
        {
          params: PARAMS,
          body: { content: { 'application/json': { schema: { $ref: `${shape}#` } } } },
          response: answers({ 200: json('Versions', 'The versions, as they now are.') }, [400, 404, 409, 413, 415]),
        },
      ),
    },
    async (request) => {
      const artefact = artefactOf(request.params.artefact);
      const run = orBadRequest(() => act(artefact, request.body));
      try {
        return answerOf(await run());
      } catch (error) {
        if (hasCode(error, 'state')) throw new Problem(409, messageOf(error), { cause: error });
        throw error;
      }
    },
  );
}

function artefactOf(name: string): Artefact {
  const found = ARTEFACTS.find((artefact) => artefact === name);
  if (found === undefined)
    throw new Problem(404, `There is no artefact ${JSON.stringify(name)}; the artefacts are ${ARTEFACTS.join(', ')}.`);
  return found;
}

/** The number of a version; undefined if the field is missing or null. Throws InputError. */
function optional(fields: Fields, name: string): number | undefined {
  const value = fields.any(name);
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > VERSION_MAX)
    throw new InputError(`"${name}" must be the number of a version: a whole number ≥ 1.`);
  return value;
}

function reasonOf(fields: Fields): string {
  const reason = fields.text('reason');
  if (reason.length > REASON_LENGTH_MAX)
    throw new InputError(`"reason" has more than ${REASON_LENGTH_MAX} characters.`);
  return reason;
}

function inShort({ artefact, current, candidate, share, pinned, versions }: VersionList, { jobs }: Pick<Runs, 'jobs'>) {
  const activatedAt = versions.find(({ version }) => version === current)?.activated_at ?? null;
  return {
    artefact,
    current,
    candidate,
    share,
    pinned,
    activated_at: activatedAt?.toISOString() ?? null,
    count: versions.length,
    // A job has the name of what it makes; other artefacts are made by an application as it runs.
    job: jobs.includes(artefact) ? artefact : null,
  };
}

function answerOf({ artefact, current, candidate, share, pinned, versions }: VersionList) {
  return { artefact, current, candidate, share, pinned, versions: versions.map(entryOf) };
}

function entryOf({ version, state, created_at, activated_at, reaped, reason, manifest }: VersionEntry) {
  return {
    version,
    state,
    created_at: created_at.toISOString(),
    activated_at: activated_at?.toISOString() ?? null,
    reaped,
    reason: reason ?? null,
    manifest,
  };
}
