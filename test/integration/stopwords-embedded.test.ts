/** Stopwords from the demo's documents to a reader, everything embedded; commands with and without a running Freshet. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { freshet, freshetUp, type RunningFreshet } from '../bench/freshet.js';

const WAIT_MS_MAX = 60_000;

interface Words {
  readonly version: number;
  readonly words: Record<string, number>;
}

describe('stopwords, embedded', () => {
  const base = mkdtempSync(join(tmpdir(), 'freshet-stopwords-'));
  const settings = { FRESHET_DATA_DIR: join(base, 'data'), PORT: '0', DEMO_RATE: '0' };
  let running: RunningFreshet | null = null;

  before(async () => {
    running = await freshetUp(settings, ['--demo']);
    const until = Date.now() + WAIT_MS_MAX;
    for (let answer = await ready(); answer !== 200; answer = await ready()) {
      assert.ok(Date.now() < until, 'the demo is not ready in time');
      await pause(50);
    }
  });

  after(async () => {
    await running?.stop();
    await freshet(['reset', '--yes'], settings);
    rmSync(base, { recursive: true, force: true });
  });

  const ready = async () => (await fetch(`${running!.address}/health/ready`)).status;
  const words = async (language: string): Promise<Words> =>
    (await (await fetch(`${running!.address}/v1/stopwords/${language}`)).json()) as Words;
  const run = (...args: string[]) => freshet(args, settings);

  it('the demo is ready with a first version, and its words are real stopwords', async () => {
    const { languages } = (await (await fetch(`${running!.address}/v1/stopwords`)).json()) as { languages: string[] };
    assert.equal(languages.length, 10);
    for (const [language, expected] of [
      ['en', ['the', 'and', 'is', 'to', 'not']],
      ['de', ['und', 'die', 'der', 'ist', 'nicht']],
      ['fi', ['on', 'ja', 'ei', 'se', 'että']],
    ] as const) {
      const { version, words: found } = await words(language);
      assert.equal(version, 1);
      const surest = Object.keys(found).slice(0, 30);
      for (const word of expected) assert.ok(surest.includes(word), `${language}: ${word} in ${surest.join(' ')}`);
      for (const confidence of Object.values(found)) assert.ok(confidence > 0 && confidence <= 1);
    }
  });

  it('a dry run in a second terminal shows what would change, and publishes nothing', async () => {
    const output = await run('snapshot', 'stopwords', '--dry-run');
    assert.match(output, /^Documents: 2,200 processed in/m);
    assert.match(output, /^Candidates: [\d,]+ words across 10 languages\.$/m);
    assert.match(output, /^Compared with version 1: 0 words added, 0 removed, 0 changed/m);
    assert.match(output, /A dry run: nothing was published\.\n$/);
    assert.equal((await words('en')).version, 1);
  });

  it('a snapshot builds the next version; rollback goes back and readers see it at once', async () => {
    assert.match(await run('snapshot', 'stopwords'), /Version 2 of stopwords is published: [\d,]+ words from 2,200/);
    assert.equal((await words('de')).version, 2);
    assert.match(await run('versions', 'list'), /^stopwords +2 /m);
    assert.equal(
      await run('versions', 'rollback', 'stopwords', '--reason', 'a test'),
      'stopwords: version 1 is current now (it was version 2).\n',
    );
    assert.equal((await words('de')).version, 1);
    assert.match(await run('versions', 'show', 'stopwords'), /^stopwords version 1\n {2}state +current$/m);
    const metrics = await (await fetch(`${running!.address}/metrics`)).text();
    assert.match(metrics, /feature_reads_total\{artefact="stopwords",version="2"\} 1/);
  });

  it('without a running Freshet, commands do the same on the log and the stores themselves', async () => {
    await running!.stop();
    running = null;
    assert.match(await run('versions', 'list', 'stopwords'), /^1 +current .*\n?$/m);
    assert.match(await run('snapshot', 'stopwords'), /Version 3 of stopwords is published/);
    assert.match(await run('versions', 'pin', 'stopwords', '2'), /^stopwords: version 2 is current now .* pinned/);
    running = await freshetUp(settings, ['--no-demo']);
    assert.equal((await words('en')).version, 2);
  });
});
