/** PUT and DELETE of records with one current state: products, documents, users. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { documentInput, type InputKind, productInput, readWithId, userInput } from '../../ingest/records.js';
import type { SharedWriter } from '../../ingest/shared-writer.js';
import type { Clock } from '../../runtime/process/clock.js';
import type { Codec } from '../../schemas/codec.js';
import type { User } from '../../schemas/records.js';
import { refuseTenant, type Tenants } from '../access/tenants.js';
import { Problem } from '../problem.js';
import { access, CHECKS_ITSELF, described } from './declare.js';
import { idOf, orBadRequest } from './ids.js';
import { pathId } from './schema.js';
import { answers, json, type ShapeName } from './shapes.js';

interface CatalogueRoutes {
  readonly writer: SharedWriter;
  readonly codec: Codec;
  readonly clock: Clock;
  readonly tenants: Tenants;
}

interface Kind<T> {
  readonly input: InputKind<T>;
  /** In the path and in messages. */
  readonly plural: string;
  readonly singular: string;
  readonly shape: ShapeName;
  /** Refuses writes that the caller may not make; `value` is null on DELETE. Throws Problem. */
  readonly authorize: (request: FastifyRequest, id: string, value: T | null) => Promise<void>;
}

const anybody = () => Promise.resolve();

export function addCatalogueRoutes(app: FastifyInstance, options: CatalogueRoutes): void {
  add(app, options, {
    input: productInput,
    plural: 'products',
    singular: 'product',
    shape: 'Product',
    authorize: anybody,
  });
  add(app, options, {
    input: documentInput,
    plural: 'documents',
    singular: 'document',
    shape: 'Document',
    authorize: anybody,
  });
  add<User>(app, options, {
    input: userInput,
    plural: 'users',
    singular: 'user',
    shape: 'User',
    authorize: async (request, id, user) => {
      const refusal = user === null ? null : refuseTenant(request.principal, user.tenant_id);
      if (refusal !== null) throw new Problem(403, refusal);
      await options.tenants.requireWritable(request.principal, id);
    },
  });
}

function add<T>(app: FastifyInstance, options: CatalogueRoutes, kind: Kind<T>): void {
  const { writer, codec, clock } = options;
  const { input, plural, singular, shape } = kind;
  const url = `/v1/${plural}/:id`;
  const params = pathId('id', `The ${input.keyField}`);
  const write = { ...CHECKS_ITSELF, config: access('write') };
  const name = `${singular[0]!.toUpperCase()}${singular.slice(1)}`;

  app.put<{ Params: { id: string } }>(
    url,
    {
      ...write,
      schema: described(
        {
          operationId: `put${name}`,
          tag: 'writes',
          summary: `Sets a ${singular}: all fields, replacing the earlier state.`,
        },
        {
          params,
          body: { content: { 'application/json': { schema: { $ref: `${shape}#` } } } },
          response: answers({ 202: json('Accepted', 'Written to the log.') }, [400, 413, 415]),
        },
      ),
    },
    async (request, reply) => {
      const id = idOf('id', request.params.id);
      const value = orBadRequest(() => readWithId(input, id, request.body, clock.now()));
      await kind.authorize(request, id, value);
      await writer.write([{ topic: input.topic, key: Buffer.from(id), value: codec.encode(input.schema, value) }]);
      return reply.code(202).send({ accepted: 1 });
    },
  );

  app.delete<{ Params: { id: string } }>(
    url,
    {
      ...write,
      schema: described(
        {
          operationId: `delete${name}`,
          tag: 'writes',
          summary: `Deletes a ${singular}. Deleting one that does not exist is not an error.`,
        },
        { params, response: answers({ 202: json('Accepted', 'Written to the log.') }, [400, 415]) },
      ),
    },
    async (request, reply) => {
      const id = idOf('id', request.params.id);
      if (request.body !== undefined) throw new Problem(400, 'DELETE takes no body: the path is enough.');
      await kind.authorize(request, id, null);
      await writer.write([{ topic: input.topic, key: Buffer.from(id), value: null }]);
      return reply.code(202).send({ accepted: 1 });
    },
  );
}
