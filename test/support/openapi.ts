/** Checks answers against an OpenAPI 3.1 document: finds a request's operation and checks the body by its schema. */
import assert from 'node:assert/strict';
import Fastify, { type FastifyRequest } from 'fastify';

type Json = Readonly<Record<string, unknown>>;

export interface OpenApi {
  readonly openapi: string;
  readonly info: { readonly license?: { readonly name: string; readonly identifier?: string } };
  readonly servers?: readonly { readonly url: string }[];
  readonly security?: readonly Json[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Json>>;
    readonly securitySchemes: Readonly<Record<string, Json>>;
  };
}

export interface Operation {
  readonly operationId: string;
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly { name: string; in: string; required?: boolean; description?: string; schema: Json }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { schema: Json }>> };
  readonly responses: Readonly<Record<string, { description: string; content?: Record<string, { schema: Json }> }>>;
}

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export class AnswerChecker {
  readonly #document: OpenApi;
  readonly #compile: FastifyRequest['compileValidationSchema'];
  /** `<operationId> <status>` of everything checked. */
  readonly checked = new Set<string>();

  private constructor(document: OpenApi, compile: FastifyRequest['compileValidationSchema']) {
    this.#document = document;
    this.#compile = compile;
  }

  static async of(document: OpenApi): Promise<AnswerChecker> {
    const app = Fastify({
      ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false, strict: false } },
    });
    app.addSchema({ ...document, $id: 'openapi' });
    let compile: FastifyRequest['compileValidationSchema'] | null = null;
    app.get('/', (request, reply) => {
      compile = request.compileValidationSchema.bind(request);
      return reply.send();
    });
    await app.inject('/');
    await app.close();
    assert.ok(compile !== null);
    return new AnswerChecker(document, compile);
  }

  /** Throws if the document does not include such an answer, or the body does not match. */
  check(seen: Seen): void {
    const operation = this.#operation(seen);
    const name = `${operation.operationId} ${seen.status}`;
    const content = operation.responses[String(seen.status)]?.content;
    assert.ok(content, `${name} is not documented`);
    const documented = content[seen.type.split(';')[0]!];
    assert.ok(documented, `${name} is not documented as ${seen.type}`);
    const body: unknown = /json/.test(seen.type) ? JSON.parse(seen.body) : seen.body;
    const validate = this.#compile(absolute(documented.schema) as Json);
    assert.ok(validate(body), `${name}: ${JSON.stringify(validate.errors)} in ${seen.body.slice(0, 300)}`);
    this.checked.add(name);
  }

  #operation({ method, url }: Seen): Operation {
    const path = url.split('?')[0]!;
    for (const [pattern, operations] of Object.entries(this.#document.paths)) {
      if (!new RegExp(`^${pattern.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path)) continue;
      const operation = operations[method.toLowerCase()];
      if (operation !== undefined) return operation;
    }
    return assert.fail(`${method} ${path} is not documented`);
  }
}

/** References into the document, as absolute references. */
function absolute(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(absolute);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) =>
      name === '$ref' ? [name, `openapi${String(inner)}`] : [name, absolute(inner)],
    ),
  );
}
