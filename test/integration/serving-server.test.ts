/** The server on a real socket: behaviour that a fake request cannot show. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { hasCode, messageOf } from '../../runtime/process/errors.js';
import { STOP_MS_MAX } from '../../serving/limits.js';
import { createServer, type Server } from '../../serving/server.js';
import { FakeReaders, keysOf, servingOptions } from '../support/serving.js';

const EVENT = { event_id: 'e1', user_id: 'u1', product_id: 'p1', event_type: 'view', ts: 1000 };
const JSON_TYPE = { 'content-type': 'application/json' };

async function started(test: TestContext, host = '127.0.0.1') {
  const { options, ...parts } = await servingOptions({
    settings: { HOST: host, PORT: 0, API_TOKENS: undefined, API_TOKENS_FILE: undefined },
  });
  const server = await createServer(options);
  await server.start();
  test.after(() => server.stop());
  return { server, ...parts };
}

/** Sends raw bytes and returns everything received until the socket ends. */
async function raw(server: Server, text: string): Promise<string> {
  const { hostname, port } = new URL(server.address());
  const socket = connect(Number(port), hostname);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(text);
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

describe('a server', () => {
  it('listens on start, reports its address, and stops twice without harm', async (test) => {
    const { server, log } = await started(test);
    assert.match(server.address(), /^http:\/\/127\.0\.0\.1:\d+$/);
    const url = `${server.address()}/v1/events`;
    const answer = await fetch(url, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(EVENT) });
    assert.equal(answer.status, 202);
    assert.equal((await keysOf(log, 'events')).length, 1);
    await server.stop();
    await server.stop();
    await assert.rejects(fetch(url));
    assert.equal(log.writersOpen, 0);
    await assert.rejects(server.start(), /stopped/);
  });

  it('may be stopped before it is started', async () => {
    const server = await createServer((await servingOptions()).options);
    await server.stop();
  });

  it('listens by name', async (test) => {
    const { server } = await started(test, 'localhost');
    assert.match(server.address(), /^http:\/\/localhost:\d+$/);
    assert.equal((await fetch(`${server.address()}/health/live`)).status, 200);
  });

  it('names a port in use, and what to do', async (test) => {
    const other = createTcpServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    test.after(() => other.close());
    const { port } = other.address() as AddressInfo;
    const { options } = await servingOptions({
      settings: { HOST: '127.0.0.1', PORT: port, API_TOKENS: undefined, API_TOKENS_FILE: undefined },
    });
    const server = await createServer(options);
    await assert.rejects(server.start(), (error) => {
      assert.ok(hasCode(error, 'settings'));
      assert.match(messageOf(error), new RegExp(`^Port ${port} on 127\\.0\\.0\\.1 is taken.*set PORT`));
      return true;
    });
    await server.stop();
  });

  it('answers a body of 2 MB with a 413 that arrives', async (test) => {
    const { server, log } = await started(test);
    const body = JSON.stringify({ ...EVENT, event_id: 'x'.repeat(2_000_000) });
    for (let n = 0; n < 5; n++) {
      const answer = await fetch(`${server.address()}/v1/events`, { method: 'POST', headers: JSON_TYPE, body });
      assert.equal(answer.status, 413);
      assert.match(answer.headers.get('content-type') ?? '', /problem\+json/);
      assert.match(((await answer.json()) as { detail: string }).detail, /1024 KiB/);
    }
    assert.equal(log.flushes.length, 0);
  });

  it('answers one without a length in the same way', async (test) => {
    const { server } = await started(test);
    const { hostname, port } = new URL(server.address());
    const sending = request({ hostname, port, method: 'POST', path: '/v1/events', headers: JSON_TYPE });
    const answered = once(sending, 'response');
    for (let n = 0; n < 20; n++) sending.write('x'.repeat(100_000));
    sending.end();
    const [answer] = await answered;
    assert.equal(answer.statusCode, 413);
    answer.resume();
  });

  it('accepts NDJSON in chunks that cut lines and characters', async (test) => {
    const { server, log } = await started(test);
    const { hostname, port } = new URL(server.address());
    const lines = ['ü', '😀', 'plain'].map((user_id) => JSON.stringify({ ...EVENT, user_id })).join('\n');
    const headers = { 'content-type': 'application/x-ndjson' };
    const sending = request({ hostname, port, method: 'POST', path: '/v1/events', headers });
    sending.setNoDelay(true);
    const answered = once(sending, 'response');
    for (const byte of Buffer.from(lines)) sending.write(Buffer.from([byte]));
    sending.end();
    const [answer] = await answered;
    answer.resume();
    assert.equal(answer.statusCode, 202);
    assert.deepEqual((await keysOf(log, 'events')).sort(), ['plain', 'ü', '😀']);
  });

  it('answers bytes other than HTTP with a problem, and closes', async (test) => {
    const { server } = await started(test);
    const malformed = await raw(server, 'HELLO\r\n\r\n');
    assert.match(malformed, /^HTTP\/1\.1 400 Bad Request\r\nContent-Type: application\/problem\+json/);
    const huge = await raw(server, `GET / HTTP/1.1\r\nHost: localhost\r\nX-Filler: ${'x'.repeat(40_000)}\r\n\r\n`);
    assert.match(huge, /^HTTP\/1\.1 431 /);
    const nameless = await raw(server, 'GET /health/live HTTP/1.0\r\n\r\n');
    assert.match(nameless, /^HTTP\/1\.1 403 /);
    const foreign = await raw(server, 'GET /health/live HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n');
    assert.match(foreign, /^HTTP\/1\.1 403 /);
    const two = 'GET /health/live HTTP/1.1\r\nHost: localhost\r\nhost: example.org\r\nConnection: close\r\n\r\n';
    assert.match(await raw(server, two), /^HTTP\/1\.1 400 /);
  });

  it('stops at once despite idle keep-alive connections', async (test) => {
    const { server } = await started(test);
    const agent = new Agent({ keepAlive: true });
    test.after(() => agent.destroy());
    const { hostname, port } = new URL(server.address());
    const sending = request({ hostname, port, path: '/health/live', agent }).end();
    const [answer] = await once(sending, 'response');
    answer.resume();
    await once(answer, 'end');
    const begun = performance.now();
    await server.stop();
    assert.ok(performance.now() - begun < STOP_MS_MAX, 'it does not wait for the keep-alive time');
  });

  it('lets a pending write finish before it stops', async (test) => {
    const { server, log } = await started(test);
    const { begun, release } = log.holdNext();
    const answer = fetch(`${server.address()}/v1/events`, {
      method: 'POST',
      headers: JSON_TYPE,
      body: JSON.stringify(EVENT),
    });
    await begun;
    const stopping = server.stop();
    const begunMs = performance.now();
    release();
    assert.equal((await answer).status, 202);
    await stopping;
    assert.ok(performance.now() - begunMs < STOP_MS_MAX, 'the connection closes with its answer');
    assert.equal((await keysOf(log, 'events')).length, 1);
    assert.equal(log.writersOpen, 0);
  });

  it('ends a waiting read of records when it stops', async (test) => {
    const { server, log } = await started(test);
    const waiting = fetch(`${server.address()}/v1/topics/events/records?from=end&wait_ms=30000`);
    while (log.readersOpen === 0) await new Promise(setImmediate);
    const begun = performance.now();
    await server.stop();
    assert.deepEqual(((await (await waiting).json()) as { records: unknown[] }).records, []);
    assert.ok(performance.now() - begun < STOP_MS_MAX);
  });

  it('answers 503 when a store hangs', async (test) => {
    const hang = () => new Promise<never>(() => {});
    const hanging = { popular: hang, popularity: hang, affinity: hang, stopwords: hang, stopwordLanguages: hang };
    const readers = Object.assign(new FakeReaders(), hanging);
    const { options } = await servingOptions({ readers });
    const server = await createServer(options);
    await server.start();
    test.after(() => server.stop());
    const answers = await Promise.all(
      ['popular', 'products/p/popularity', 'users/u/affinity', 'stopwords/en'].map((path) =>
        fetch(`${server.address()}/v1/${path}`),
      ),
    );
    for (const answer of answers) {
      assert.equal(answer.status, 503);
      assert.ok(Number(answer.headers.get('retry-after')) > 0);
      assert.match(((await answer.json()) as { detail: string }).detail, /took too long/);
    }
  });

  it('stops even if the log does not answer', async (test) => {
    const { server, log } = await started(test);
    const { begun, release } = log.holdNext();
    const answer = fetch(`${server.address()}/v1/events`, {
      method: 'POST',
      headers: JSON_TYPE,
      body: JSON.stringify(EVENT),
    });
    const cut = assert.rejects(answer);
    await begun;
    await server.stop();
    await cut;
    release();
  });
});
