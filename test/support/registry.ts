/**
 * A small registry for tests: the subset of the Confluent REST API that we use, with the codes of the real one, and
 * compatibility checked by avsc's resolvers.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import avro from 'avsc';

export interface TestRegistry {
  readonly url: string;
  /** `METHOD path` of every request, in order. */
  readonly requests: string[];
  /** Sets the default rule (BACKWARD initially). */
  setLevel(level: string): void;
  /** Answers every request with this status until set to null. */
  failWith(status: number | null): void;
  close(): Promise<void>;
}

interface Version {
  readonly id: number;
  readonly schema: string;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const notFound = (code: number, message: string): Answer => ({ status: 404, body: { error_code: code, message } });

function canRead(reader: string, writer: string): boolean {
  try {
    avro.Type.forSchema(JSON.parse(reader)).createResolver(avro.Type.forSchema(JSON.parse(writer)));
    return true;
  } catch {
    return false;
  }
}

function compatible(level: string, previous: readonly Version[], schema: string): boolean {
  const against = level.endsWith('_TRANSITIVE') ? previous : previous.slice(-1);
  const backward = /^(BACKWARD|FULL)/.test(level);
  const forward = /^(FORWARD|FULL)/.test(level);
  return against.every(
    (version) => (!backward || canRead(schema, version.schema)) && (!forward || canRead(version.schema, schema)),
  );
}

/** Starts one on a free loopback port. With `basic` ("user:password") it requires basic authentication. */
export async function startTestRegistry(basic?: string): Promise<TestRegistry> {
  const subjects = new Map<string, Version[]>();
  const ids = new Map<string, number>();
  const requests: string[] = [];
  let level = 'BACKWARD';
  let failure: number | null = null;

  function answer(method: string, path: string, schema: string | null): Answer {
    const byId = /^\/schemas\/ids\/(\d+)$/.exec(path);
    if (byId) {
      const found = [...ids].find(([, id]) => id === Number(byId[1]));
      return found ? { status: 200, body: { schema: found[0] } } : notFound(40403, 'Schema not found');
    }
    if (path === '/config') return { status: 200, body: { compatibilityLevel: level } };
    if (path.startsWith('/config/')) return notFound(40408, 'Subject does not have subject-level compatibility');
    if (path === '/subjects') return { status: 200, body: [...subjects.keys()] };
    const check = /^\/compatibility\/subjects\/([^/]+)\/versions\/latest$/.exec(path);
    if (check && schema !== null) {
      const versions = subjects.get(decodeURIComponent(check[1]!));
      if (!versions) return notFound(40401, 'Subject not found');
      return { status: 200, body: { is_compatible: compatible(level, versions, schema) } };
    }
    const latest = /^\/subjects\/([^/]+)\/versions\/latest$/.exec(path);
    if (latest) {
      const subject = decodeURIComponent(latest[1]!);
      const versions = subjects.get(subject);
      if (!versions) return notFound(40401, `Subject '${subject}' not found.`);
      return { status: 200, body: { subject, version: versions.length, ...versions.at(-1) } };
    }
    const register = /^\/subjects\/([^/]+)\/versions$/.exec(path);
    if (register && method === 'POST' && schema !== null) {
      const subject = decodeURIComponent(register[1]!);
      const versions = subjects.get(subject) ?? [];
      const same = versions.find((version) => version.schema === schema);
      if (same) return { status: 200, body: { id: same.id } };
      if (versions.length > 0 && !compatible(level, versions, schema))
        return { status: 409, body: { error_code: 409, message: 'Schema being registered is incompatible' } };
      const id = ids.get(schema) ?? ids.size + 1;
      ids.set(schema, id);
      subjects.set(subject, [...versions, { id, schema }]);
      return { status: 200, body: { id } };
    }
    return { status: 404, body: 'no such page' };
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://registry');
    requests.push(`${request.method} ${url.pathname}`);
    const schema = request.method === 'POST' ? await schemaOf(request) : null;
    const allowed =
      basic === undefined || request.headers.authorization === `Basic ${Buffer.from(basic).toString('base64')}`;
    const { status, body } =
      failure !== null
        ? { status: failure, body: 'failing as requested' }
        : allowed
          ? answer(request.method ?? 'GET', url.pathname, schema)
          : { status: 401, body: { error_code: 401, message: 'Unauthorized' } };
    response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    setLevel: (next) => {
      level = next;
    },
    failWith: (status) => {
      failure = status;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function schemaOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { schema: string };
  return body.schema;
}
