import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { buildApp } from '../../../../serving/app.js';
import { servingFixture, servingOptions, temporaryFolder } from '../../../support/serving.js';

describe('the page', () => {
  it('is served with its files and the chart library', async (test) => {
    const { app } = await servingFixture(test);
    for (const [url, type] of [
      ['/', 'text/html; charset=utf-8'],
      ['/assets/app.js', 'text/javascript; charset=utf-8'],
      ['/assets/uPlot.esm.js', 'text/javascript; charset=utf-8'],
      ['/assets/uPlot.iife.min.js', 'text/javascript; charset=utf-8'],
      ['/assets/uPlot.min.css', 'text/css; charset=utf-8'],
    ] as const) {
      const answer = await app.inject(url);
      assert.equal(answer.statusCode, 200, url);
      assert.equal(answer.headers['content-type'], type);
      assert.ok(answer.body.length > 0);
      const etag = answer.headers['etag'] as string;
      const again = await app.inject({ url, headers: { 'if-none-match': etag } });
      assert.equal(again.statusCode, 304);
      assert.equal(again.body, '');
    }
  });

  it('is revalidated each time, the library once a day', async (test) => {
    const { app } = await servingFixture(test);
    assert.equal((await app.inject('/')).headers['cache-control'], 'no-cache');
    assert.equal((await app.inject('/assets/uPlot.min.css')).headers['cache-control'], 'private, max-age=86400');
    assert.equal((await app.inject('/v1/popular')).headers['cache-control'], 'no-store');
  });

  it('serves no file that is not on its list', async (test) => {
    const { app } = await servingFixture(test);
    for (const url of [
      '/index.html',
      '/notes.txt',
      '/assets/notes.txt',
      '/assets/',
      '/assets/uPlot.cjs.js',
      '/assets/../../package.json',
      '/assets/..%2f..%2fpackage.json',
      '/assets/%2e%2e/%2e%2e/package.json',
      '/..//package.json',
    ])
      assert.equal((await app.inject(url)).statusCode, 404, url);
  });

  it('is found missing at the start, not by its first visitor', async () => {
    const empty = temporaryFolder();
    for (const webFolder of [empty, join(empty, 'missing')]) {
      const { options } = await servingOptions({ webFolder });
      await assert.rejects(buildApp(options), /no index\.html: the installation is incomplete/);
    }
  });
});
