/** How routes are declared: what they do, who may call them, their input and output; all of it is in OpenAPI. */
import type { FastifySchema } from 'fastify';
import type { AccessClass } from '../limits.js';

interface RouteText {
  readonly operationId: string;
  readonly tag: 'features' | 'writes' | 'operation' | 'health';
  readonly summary: string;
  readonly description?: string;
}

/** A route's schema, for OpenAPI and for checking its parameters. */
export function described(route: RouteText, schema: Omit<FastifySchema, 'tags'>): FastifySchema {
  const { tag, ...texts } = route;
  return { ...schema, ...texts, tags: [tag] };
}

/** A route whose body, ids and messages are checked by its own code (ingest/); its schema is documentation. */
export const CHECKS_ITSELF = { validatorCompiler: () => () => true } as const;

export function access(name: AccessClass | 'open'): { access: AccessClass | 'open' } {
  return { access: name };
}

/** ISO 8601 UTC of ms since 1970. */
export function iso(ms: number): string {
  return new Date(ms).toISOString();
}
