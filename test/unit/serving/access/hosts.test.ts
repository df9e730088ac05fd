import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { describe, it } from 'node:test';
import { isAllowedHost, isLoopback, isOwnOrigin } from '../../../../serving/access/hosts.js';

describe('isLoopback', () => {
  for (const host of ['localhost', 'LOCALHOST', '127.0.0.1', '127.8.9.10', '::1', '[::1]'])
    it(`is true for ${host}`, () => assert.equal(isLoopback(host), true));
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'localhost.example.org', '127.0.0.1.example.org', '1270.0.0.1', ''])
    it(`is false for "${host}"`, () => assert.equal(isLoopback(host), false));
});

describe('isAllowedHost', () => {
  const table: [string | undefined, string, boolean][] = [
    ['localhost', '127.0.0.1', true],
    ['localhost:8080', '127.0.0.1', true],
    ['LocalHost:9', '127.0.0.1', true],
    ['127.0.0.1:8080', '127.0.0.1', true],
    ['[::1]:8080', '127.0.0.1', true],
    ['localhost.', '127.0.0.1', true],
    ['example.org', '127.0.0.1', false],
    ['example.org:8080', '127.0.0.1', false],
    ['127.0.0.1.example.org', '127.0.0.1', false],
    ['10.0.0.1:8080', '127.0.0.1', false],
    [hostname(), '127.0.0.1', hostname().toLowerCase() === 'localhost'],
    ['shop.example.org:8080', 'shop.example.org', true],
    ['Shop.Example.ORG', 'shop.example.org', true],
    ['other.example.org', 'shop.example.org', false],
    ['10.0.0.1:8080', '0.0.0.0', true],
    ['[fe80::1]:8080', '::', true],
    [hostname(), '0.0.0.0', true],
    ['example.org', '0.0.0.0', false],
    [undefined, '127.0.0.1', false],
    ['', '127.0.0.1', false],
    ['localhost@example.org', '127.0.0.1', false],
    ['localhost:80:80', '127.0.0.1', false],
    ['localhost/..', '127.0.0.1', false],
    ['localhost example.org', '127.0.0.1', false],
    ['localhost:port', '127.0.0.1', false],
  ];
  for (const [header, listenHost, expected] of table)
    it(`${expected ? 'accepts' : 'refuses'} ${header} when HOST is ${listenHost}`, () => {
      assert.equal(isAllowedHost(header, listenHost), expected);
    });
});

describe('isOwnOrigin', () => {
  const table: [string | undefined, string, boolean][] = [
    [undefined, 'localhost:8080', true],
    ['http://localhost:8080', 'localhost:8080', true],
    ['http://LOCALHOST:8080', 'localhost:8080', true],
    ['https://shop.example.org', 'shop.example.org', true],
    ['https://shop.example.org', 'shop.example.org:443', true],
    ['http://localhost:3000', 'localhost:8080', false],
    ['http://127.0.0.1:8080', 'localhost:8080', false],
    ['http://example.org', 'localhost:8080', false],
    ['http://localhost:8080.example.org', 'localhost:8080', false],
    ['null', 'localhost:8080', false],
    ['', 'localhost:8080', false],
    ['file://', 'localhost:8080', false],
    ['ftp://localhost:8080', 'localhost:8080', false],
  ];
  for (const [origin, host, expected] of table)
    it(`${expected ? 'accepts' : 'refuses'} ${origin} at ${host}`, () =>
      assert.equal(isOwnOrigin(origin, host), expected));
});
