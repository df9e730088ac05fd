/** POST /v1/events: the entry point of events. */
import type { FastifyInstance } from 'fastify';
import { eventInput } from '../../ingest/records.js';
import type { SharedWriter } from '../../ingest/shared-writer.js';
import type { Codec } from '../../schemas/codec.js';
import { parseNdjsonBodies, readRecords, receipt } from '../bodies.js';
import { RECORDS_PER_REQUEST_MAX } from '../limits.js';
import { access, CHECKS_ITSELF, described } from './declare.js';
import { array } from './schema.js';
import { answers, json } from './shapes.js';

interface EventRoutes {
  readonly writer: SharedWriter;
  readonly codec: Codec;
}

const event = { $ref: 'Event#' };

/** Duplicates, late and future events are accepted: the log's order and time decide once which of them count. */
export async function addEventRoutes(app: FastifyInstance, { writer, codec }: EventRoutes): Promise<void> {
  await app.register(async (scope) => {
    parseNdjsonBodies(scope);
    scope.post(
      '/v1/events',
      {
        ...CHECKS_ITSELF,
        config: access('write'),
        schema: described(
          {
            operationId: 'postEvents',
            tag: 'writes',
            summary: 'Accepts one event, an array of events, or one event per line.',
            description: `Accepted means written to the log by all in-sync replicas. At most ${RECORDS_PER_REQUEST_MAX} events and 1 MiB in one request. A failed request may be repeated: an event_id counts once.`,
          },
          {
            body: {
              content: {
                'application/json': { schema: { oneOf: [event, array(event)] } },
                'application/x-ndjson': { schema: event },
              },
            },
            response: answers(
              { 202: json('Receipt', 'How many were accepted, and why the others were not.') },
              [400, 413, 415],
            ),
          },
        ),
      },
      async (request, reply) => {
        const read = readRecords(request.body, (json) => {
          const value = eventInput.read(json, 0);
          return { topic: eventInput.topic, key: Buffer.from(value.user_id), value: codec.encode('Event', value) };
        });
        const answer = receipt(read);
        await writer.write(read.accepted);
        return reply.code(202).send(answer);
      },
    );
  });
}
