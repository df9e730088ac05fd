import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { applyDeclaredTopics } from '../../runtime/log/apply-topics.js';
import { openEmbeddedLog } from '../../runtime/log/embedded/log.js';
import type { Log } from '../../runtime/log/log.js';
import { type DataFolder, openDataFolder } from '../../runtime/process/data-folder.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { createServer, type Server } from '../../serving/server.js';
import { allTopics } from '../../topics/all.js';
import { servingOptions, tokenEntry } from '../support/serving.js';
import { runCommand } from '../unit/cli/run-command.js';

/** A process that holds the data folder and serves its log, with tokens; commands find address and token in the lock. */
describe('commands with a running Freshet', () => {
  const token = randomBytes(16).toString('hex');
  let base: string;
  let folder: DataFolder;
  let log: Log;
  let server: Server;

  before(async () => {
    base = mkdtempSync(join(tmpdir(), 'freshet-cli-http-'));
    folder = await openDataFolder(join(base, 'data'));
    log = await openEmbeddedLog(join(folder.path, 'log'), silentLogger);
    await applyDeclaredTopics(log, allTopics(), { PARTITIONS: undefined, ALLOW_CREATE_TIME: false }, silentLogger);
    const { options } = await servingOptions({
      log,
      settings: { HOST: '127.0.0.1', PORT: 0, API_TOKENS: [tokenEntry(token, 'admin')], API_TOKENS_FILE: undefined },
    });
    server = await createServer(options);
    await server.start();
    await folder.announce(server.address(), token);
  });

  after(async () => {
    await server.stop();
    await log.close();
    await folder.release();
    rmSync(base, { recursive: true, force: true });
  });

  const freshet = (args: readonly string[], input = '') =>
    runCommand(args, { environment: { FRESHET_DATA_DIR: folder.path, PORT: '0' }, input });

  it('produce writes through it, in as many requests as needed', async () => {
    const lines = Array.from({ length: 9_000 }, (_, i) =>
      JSON.stringify({ event_id: `e${i}`, user_id: `u${i % 100}`, product_id: 'p', event_type: 'view', ts: 1000 + i }),
    );
    const { code, output, errors } = await freshet(['produce', 'events', '-'], lines.join('\n'));
    assert.equal(code, 0, errors);
    assert.equal(output, '9,000 records written to events.\n');
    const { output: all } = await freshet(['consume', 'events', '--from-beginning', '--json']);
    const ids = all
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { value: { event_id: string } }).value.event_id);
    assert.equal(ids.length, 9_000);
    assert.equal(new Set(ids).size, 9_000);
  });

  it('produce names bad lines, and nothing after the first one is sent', async () => {
    const product = (id: string) =>
      JSON.stringify({ product_id: id, title: 't', description: 'd', category: 'c', updated_at: 1 });
    const { code, output, errors } = await freshet(
      ['produce', 'products', '-'],
      [product('a'), '{"product_id":"b"}', product('c')].join('\n'),
    );
    assert.equal(code, 1);
    assert.match(errors, /^line 2: "title" is missing/);
    assert.equal(output, '1 record written to products, 1 bad line not.\n');
    const shown = await freshet(['consume', 'products']);
    assert.match(shown.output, / {2}a {2}\{"product_id":"a"/);
    assert.doesNotMatch(shown.output, /"product_id":"c"/);
  });

  it('consume shows the newest and stops at the limit', async () => {
    const { output } = await freshet(['consume', 'events', '--limit', '3', '--json']);
    assert.equal(output.trim().split('\n').length, 3);
  });

  it('consume --follow prints what arrives until the limit', async () => {
    const following = freshet(['consume', 'events', '--follow', '--limit', '1', '--json']);
    // Following begins at the end at that time: events are sent until one has been seen.
    const controller = new AbortController();
    const sending = (async () => {
      for (let i = 0; !controller.signal.aborted; i++) {
        const line = { event_id: `f${i}`, user_id: 'u', product_id: 'p', event_type: 'view', ts: 1 };
        await freshet(['produce', 'events', '-'], JSON.stringify(line));
      }
    })();
    const { code, output } = await following;
    controller.abort();
    await sending;
    assert.equal(code, 0);
    assert.match(output, /"event_id":"f\d+"/);
    assert.equal(output.trim().split('\n').length, 1);
  });

  it('topics are listed, shown, and found as declared', async () => {
    const { topics } = JSON.parse((await freshet(['topics', 'list', '--json'])).output) as {
      topics: { name: string; partitions: number }[];
    };
    assert.deepEqual(
      topics.map(({ name }) => name),
      allTopics().map(({ name }) => name),
    );
    assert.match((await freshet(['topics', 'show', 'products'])).output, /^products: The catalogue\./);
    const applied = await freshet(['topics', 'apply']);
    assert.equal(applied.code, 0);
    const deletion = await freshet(['topics', 'apply', '--delete', 'old']);
    assert.equal(deletion.code, 1);
    assert.match(deletion.errors, /the running Freshet at http:.* holds the log: stop it before deleting topics/);
  });

  it('doctor queries it', async () => {
    const { code, output } = await freshet(['doctor']);
    assert.equal(code, 0, output);
    assert.match(output, /^ok +address +The running Freshet at http:.* is ready\.$/m);
    assert.match(output, /^ok +data folder +.* is in use by the Freshet at/m);
  });

  it('up refuses the folder, and shows process and address', async () => {
    const { code, errors } = await freshet(['up']);
    assert.equal(code, 1);
    assert.match(errors, new RegExp(`in use by process ${process.pid}, which listens at ${server.address()}`));
  });
});
