import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { hasCode, messageOf } from '../../../../runtime/process/errors.js';
import { loadTokens, tokenOf } from '../../../../serving/access/tokens.js';
import type { HttpSettings } from '../../../../serving/settings.js';
import { temporaryFolder, tokenEntry } from '../../../support/serving.js';

function settings(given: Partial<HttpSettings>): HttpSettings {
  return { HOST: '127.0.0.1', PORT: 0, API_TOKENS: undefined, API_TOKENS_FILE: undefined, ...given };
}

function complaint(given: Partial<HttpSettings>): string {
  try {
    loadTokens(settings(given));
  } catch (error) {
    assert.ok(hasCode(error, 'settings'), String(error));
    return messageOf(error);
  }
  return assert.fail('accepted');
}

function file(text: string): string {
  const path = join(temporaryFolder(), 'tokens.json');
  writeFileSync(path, text);
  return path;
}

describe('I13: loadTokens', () => {
  it('admits the commands of the data folder’s owner, and only where tokens are required', () => {
    assert.equal(loadTokens(settings({}), 'secret'), null);
    const given = [{ sha256: 'a'.repeat(64), role: 'reader' as const, tenant: 't' }];
    const tokens = loadTokens(settings({ API_TOKENS: given }), 'secret');
    assert.equal(tokens?.find('secret')?.role, 'admin');
    assert.equal(tokens?.find('other'), null);
  });

  it('requires none on loopback', () => {
    for (const HOST of ['127.0.0.1', 'localhost', '::1', '[::1]', '127.0.0.2'])
      assert.equal(loadTokens(settings({ HOST })), null);
  });

  it('refuses to be reachable from other machines without tokens', () => {
    for (const HOST of ['0.0.0.0', '::', '10.0.0.1', 'shop.example.org'])
      assert.match(complaint({ HOST }), new RegExp(`^HOST is ${HOST.replaceAll('.', '\\.')}.*API_TOKENS`));
  });

  it('finds the principal of a token, and none for another token', () => {
    const tokens = loadTokens(
      settings({ HOST: '0.0.0.0', API_TOKENS: [tokenEntry('one', 'reader'), tokenEntry('two', 'admin', 'blue')] }),
    )!;
    assert.deepEqual(tokens.find('two'), {
      id: tokenEntry('two', 'admin').sha256.slice(0, 12),
      role: 'admin',
      tenant: 'blue',
    });
    assert.equal(tokens.find('one')?.role, 'reader');
    assert.equal(tokens.find('three'), null);
    assert.equal(tokens.find(tokenEntry('one', 'reader').sha256), null, 'the digest itself is not a token');
  });

  it('reads the file', () => {
    const path = file(`${JSON.stringify([tokenEntry('one', 'producer')])}\n`);
    assert.equal(loadTokens(settings({ HOST: '0.0.0.0', API_TOKENS_FILE: path }))?.find('one')?.role, 'producer');
  });

  it('reports the problem of a file', () => {
    assert.match(complaint({ API_TOKENS_FILE: '/does/not/exist.json' }), /exist\.json cannot be read/);
    assert.match(complaint({ API_TOKENS_FILE: file('{') }), /API_TOKENS_FILE .*tokens\.json.*not JSON/);
    assert.match(
      complaint({ API_TOKENS_FILE: file('[{"sha256":"xyz","role":"reader","tenant":"t"}]') }),
      /64 hex digits/,
    );
    assert.ok(complaint({ API_TOKENS_FILE: file('[]') }).length > 0);
    assert.ok(complaint({ API_TOKENS_FILE: file('') }).length > 0);
  });

  it('allows only one source', () => {
    assert.match(complaint({ API_TOKENS: [tokenEntry('one', 'reader')], API_TOKENS_FILE: 'x' }), /keep one/);
  });
});

describe('tokenOf', () => {
  const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`;
  const table: [string | undefined, string | null][] = [
    ['Bearer abc', 'abc'],
    ['bearer  abc ', 'abc'],
    [basic('anybody:abc'), 'abc'],
    [basic(':abc:d'), 'abc:d'],
    [basic('abc'), null],
    [basic('abc:'), null],
    ['Bearer', null],
    ['Bearer a b', null],
    ['Digest abc', null],
    ['abc', null],
    ['', null],
    [undefined, null],
  ];
  for (const [header, expected] of table) it(`reads ${header}`, () => assert.equal(tokenOf(header), expected));
});
