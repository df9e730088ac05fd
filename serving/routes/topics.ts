/** Topics as they are in the log: configuration and records, and writing to the public ones from elsewhere. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { InputError } from '../../ingest/input-error.js';
import { type Input, inputKinds, readKeyed, userInput } from '../../ingest/records.js';
import type { SharedWriter } from '../../ingest/shared-writer.js';
import { type Log, RECORD_BYTES_MAX } from '../../runtime/log/log.js';
import type { Clock } from '../../runtime/process/clock.js';
import type { Codec } from '../../schemas/codec.js';
import type { TopicDeclaration } from '../../topics/topic.js';
import { foreignUser, refuseTenant, type Tenants } from '../access/tenants.js';
import { parseNdjsonBodies, readRecords, receipt } from '../bodies.js';
import {
  HANDLER_MS_MAX,
  RAW_READS_MAX,
  RAW_RECORDS_DEFAULT,
  RAW_RECORDS_MAX,
  RAW_WAIT_MS_MAX,
  RECORDS_PER_REQUEST_MAX,
} from '../limits.js';
import { Problem } from '../problem.js';
import { decodeRecord, type RawRecord } from '../reading/decode.js';
import { type Position, readRaw } from '../reading/raw-reader.js';
import { type StartQuery, startPositions } from '../reading/start.js';
import { topicStates } from '../reading/topic-states.js';
import { access, CHECKS_ITSELF, described } from './declare.js';
import { array, count, parameters } from './schema.js';
import { answers, json } from './shapes.js';

interface TopicRoutes {
  readonly topics: readonly TopicDeclaration[];
  readonly log: Log;
  readonly codec: Codec;
  readonly writer: SharedWriter;
  readonly clock: Clock;
  readonly tenants: Tenants;
  /** Ends waiting reads when the server stops. */
  readonly stopping: AbortSignal;
}

const topicName = parameters({ name: { type: 'string', description: 'The name of the topic.' } }, ['name']);

export async function addTopicRoutes(app: FastifyInstance, options: TopicRoutes): Promise<void> {
  const declared = new Map(options.topics.map((topic) => [topic.name, topic]));
  addList(app, options, declared);
  addRead(app, options, declared);
  await app.register(async (scope) => {
    parseNdjsonBodies(scope);
    addWrite(scope, options, declared);
  });
}

type Declared = ReadonlyMap<string, TopicDeclaration>;

function declaredTopic(declared: Declared, name: string): TopicDeclaration {
  const found = declared.get(name);
  if (found !== undefined) return found;
  throw noTopic(name);
}

function noTopic(name: string): Problem {
  return new Problem(404, `There is no topic ${JSON.stringify(name.slice(0, 260))}; GET /v1/topics lists them.`);
}

function addList(app: FastifyInstance, { log }: TopicRoutes, declared: Declared): void {
  app.get(
    '/v1/topics',
    {
      config: access('operate'),
      schema: described(
        { operationId: 'topics', tag: 'operation', summary: 'All topics with their partitions and offsets.' },
        { response: answers({ 200: json('Topics', 'In the order in which data passes through them.') }, []) },
      ),
    },
    async () => {
      return { topics: await topicStates(log, [...declared.values()]) };
    },
  );
}

interface ReadQuery extends StartQuery {
  readonly limit: number;
  readonly wait_ms: number;
}

function addRead(app: FastifyInstance, options: TopicRoutes, declared: Declared): void {
  const { log, codec, stopping } = options;
  let running = 0;
  app.get<{ Params: { name: string }; Querystring: ReadQuery }>(
    '/v1/topics/:name/records',
    {
      config: access('raw'),
      handlerTimeout: RAW_WAIT_MS_MAX + HANDLER_MS_MAX,
      schema: described(
        {
          operationId: 'topicRecords',
          tag: 'operation',
          summary: 'Committed records of a topic, decoded.',
          description:
            'Starts at `from`, at `offset` of one `partition`, or at `positions`; the answer says where to continue. Shows records of all tenants.',
        },
        {
          params: topicName,
          querystring: parameters({
            partition: { type: 'integer', minimum: 0, description: 'Only this partition; default: all.' },
            offset: { type: 'integer', minimum: 0, description: 'First offset; needs `partition`.' },
            from: { type: 'string', enum: ['beginning', 'end'], description: 'Default: beginning.' },
            positions: {
              type: 'string',
              pattern: '^\\d{1,9}:\\d{1,16}(,\\d{1,9}:\\d{1,16})*$',
              description: 'Exactly these: `<partition>:<offset>,…`, as in `next` of the previous answer.',
            },
            limit: count(1, RAW_RECORDS_MAX, RAW_RECORDS_DEFAULT, 'Maximum number of records.'),
            wait_ms: count(0, RAW_WAIT_MS_MAX, 0, 'How long to wait for a record if there is none, ms.'),
          }),
          response: answers({ 200: json('RawRecords', 'In offset order within each partition.') }, [400, 404, 410]),
        },
      ),
    },
    async (request) => {
      const { name } = request.params;
      // Topics of others can be read too: those of one's own features, for example.
      if (!declared.has(name) && !(await log.admin.listTopics()).includes(name)) throw noTopic(name);
      const topic = declared.get(name) ?? null;
      if (running >= RAW_READS_MAX)
        throw new Problem(503, `${RAW_READS_MAX} reads of raw records are in progress: try again in a moment.`, {
          retryAfterS: 1,
        });
      running++;
      try {
        const { limit, wait_ms } = request.query;
        const start = await startPositions(log, name, request.query);
        const records: RawRecord[] = [];
        const next: Position[] = await readRaw(
          log,
          name,
          start,
          { limit, waitMs: wait_ms, isOver: () => stopping.aborted || request.signal.aborted },
          (columns, row) => records.push(decodeRecord(topic, codec, columns, row)),
          ({ bytes, count, valueStart, valueEnd }) => codec.prepare(bytes, count, valueStart, valueEnd),
        );
        return { topic: name, records, next };
      } finally {
        running--;
      }
    },
  );
}

function addWrite(app: FastifyInstance, options: TopicRoutes, declared: Declared): void {
  const { writer, codec, clock, tenants } = options;
  const record = { $ref: 'KeyedRecord#' };
  app.post<{ Params: { name: string } }>(
    '/v1/topics/:name/records',
    {
      ...CHECKS_ITSELF,
      config: access('write'),
      schema: described(
        {
          operationId: 'postTopicRecords',
          tag: 'writes',
          summary: 'Writes records to a producers’ topic, checked against its schema.',
          description: `For \`freshet produce\`. At most ${RECORDS_PER_REQUEST_MAX} records and 1 MiB in one request.`,
        },
        {
          params: topicName,
          body: {
            content: {
              'application/json': { schema: { oneOf: [record, array(record)] } },
              'application/x-ndjson': { schema: record },
            },
          },
          response: answers(
            { 202: json('Receipt', 'How many were accepted, and why the others were not.') },
            [400, 404, 413, 415],
          ),
        },
      ),
    },
    async (request, reply) => {
      const topic = declaredTopic(declared, request.params.name);
      const kind = inputKinds.get(topic.name);
      if (kind === undefined)
        throw new Problem(403, `Topic ${topic.name} is written by ${topic.owner} only; producers write ${writable()}.`);
      const nowMs = clock.now();
      const check = kind === userInput ? await userCheck(request, tenants) : () => undefined;
      const read = readRecords(request.body, (json) => {
        const input = readKeyed(kind, json, nowMs);
        check(input);
        const key = Buffer.from(input.key);
        const value = input.value === null ? null : codec.encode(kind.schema, input.value);
        const bytes = key.length + (value?.length ?? 0);
        if (bytes > RECORD_BYTES_MAX)
          throw new InputError(`The record has ${bytes} bytes; at most ${RECORD_BYTES_MAX} are allowed.`);
        return { topic: topic.name, key, value };
      });
      const answer = receipt(read);
      await writer.write(read.accepted);
      return reply.code(202).send(answer);
    },
  );
}

function writable(): string {
  return [...inputKinds.keys()].join(', ');
}

/** Refuses users of other tenants; their tenants are looked up once for the whole request. */
async function userCheck(request: FastifyRequest, tenants: Tenants): Promise<(input: Input) => void> {
  const { principal } = request;
  if (principal === null) return () => undefined;
  const ids = readRecords(request.body, (json) => readKeyed(userInput, json, 0).key).accepted;
  const foreign = await tenants.foreign(principal, ids);
  return ({ key, value }) => {
    if (foreign.has(key)) throw new InputError(foreignUser(key));
    const refusal = value === null ? null : refuseTenant(principal, (value as { tenant_id: string }).tenant_id);
    if (refusal !== null) throw new InputError(refusal);
  };
}
