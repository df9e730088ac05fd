/** The page as served: every file it names exists, and nothing in it needs more than the policy allows. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { brotliDecompressSync } from 'node:zlib';
import { WEB_FOLDER } from '../../serving/routes/page.js';
import { servingFixture } from '../support/serving.js';

const UPLOT = /^\/assets\/uPlot\./;

async function open(context: Parameters<typeof servingFixture>[0]) {
  const { app } = await servingFixture(context, { webFolder: WEB_FOLDER });
  const headers = { host: 'localhost' };
  return async (url: string, more: Readonly<Record<string, string>> = {}) => {
    const answer = await app.inject({ url, headers: { ...headers, ...more } });
    const { statusCode: status, rawPayload } = answer;
    return { status, headers: answer.headers, text: answer.body, rawPayload };
  };
}

/** Everything requested by index.html and, from there, by scripts and style sheets. */
async function reachable(get: Awaited<ReturnType<typeof open>>): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const ask = ['/'];
  for (let url = ask.pop(); url !== undefined; url = ask.pop()) {
    if (found.has(url)) continue;
    const { status, text } = await get(url);
    assert.equal(status, 200, `${url} is missing`);
    found.set(url, text);
    if (UPLOT.test(url)) continue;
    const names = url === '/' ? attributes(text) : [...imports(text), ...cssUrls(text)];
    for (const name of names) ask.push(new URL(name, `http://page${url}`).pathname);
  }
  return found;
}

const attributes = (html: string) =>
  [...html.matchAll(/<(?:script|link|img)\b[^>]*?\b(?:src|href)="([^"]+)"/g)].map((match) => match[1]!);
const imports = (script: string) => [...script.matchAll(/^import\b[^']*'([^']+)'/gm)].map((match) => match[1]!);
const cssUrls = (css: string) => [...css.matchAll(/url\(\s*["']?([^"')]+)/g)].map((match) => match[1]!);

test('every requested file exists, none is unused, and together they are small', async (context) => {
  const get = await open(context);
  const files = await reachable(get);
  const types: Record<string, RegExp> = { js: /^text\/javascript/, css: /^text\/css/, svg: /^image\/svg/ };
  let bytes = 0;
  for (const [url, text] of files) {
    const { headers } = await get(url);
    const { headers: small, rawPayload } = await get(url, { 'accept-encoding': 'gzip, br;q=1' });
    const type = types[url.slice(url.lastIndexOf('.') + 1)] ?? /^text\/html/;
    assert.match(String(headers['content-type']), type, url);
    assert.equal(small['content-encoding'], 'br', url);
    assert.equal(brotliDecompressSync(rawPayload).toString(), text, url);
    if (!UPLOT.test(url)) bytes += rawPayload.length;
  }
  assert.ok(bytes < 35_000, `${bytes} compressed bytes without the chart library`);
  for (const name of readdirSync(WEB_FOLDER))
    if (name !== 'index.html') assert.ok(files.has(`/assets/${name}`), `nothing requests ${name}`);
});

test('nothing is inline and nothing comes from elsewhere', async (context) => {
  const get = await open(context);
  const files = await reachable(get);
  const { headers } = await get('/');
  assert.match(String(headers['content-security-policy']), /default-src 'self'/);
  assert.doesNotMatch(String(headers['content-security-policy']), /unsafe/);
  const html = files.get('/')!;
  assert.doesNotMatch(html, /<style\b|\sstyle=|\son[a-z]+=|javascript:/i);
  for (const script of html.match(/<script\b[^>]*>[^<]*/g)!) assert.match(script, /\bsrc="[^"]+"[^>]*>$/);
  for (const [url, text] of files) {
    if (UPLOT.test(url)) continue;
    const outside = [...text.matchAll(/\bhttps?:\/\/[^\s"'<>]+/g)].map((match) => match[0]);
    // The name of the SVG namespace is not an address.
    assert.deepEqual(
      outside.filter((address) => address !== 'http://www.w3.org/2000/svg'),
      [],
      url,
    );
    assert.doesNotMatch(text, /\beval\(|\bnew Function\b|innerHTML|document\.write/, url);
  }
});

test('scripts and page agree on ids', async (context) => {
  const files = await reachable(await open(context));
  const ids = [...files.get('/')!.matchAll(/\bid="([^"]+)"/g)].map((match) => match[1]!);
  assert.equal(new Set(ids).size, ids.length, 'an id occurs twice');
  let asked = 0;
  for (const [url, text] of files) {
    for (const [, id] of text.matchAll(/byId\('([^']+)'\)/g)) {
      asked++;
      assert.ok(ids.includes(id!), `${url} uses #${id}`);
    }
  }
  assert.ok(asked > 20);
});

test('the page is readable, and can be used without seeing it', async (context) => {
  const html = (await (await open(context))('/')).text;
  assert.match(html, /<html lang="en">/);
  assert.match(html, /<meta name="viewport" content="width=device-width, initial-scale=1">/);
  assert.match(html, /<title>[^<]+<\/title>/);
  assert.equal(html.match(/<h1\b/g)!.length, 1);
  assert.equal(html.match(/<main\b/g)!.length, 1);
  const levels = [...html.matchAll(/<h([1-6])\b/g)].map((match) => Number(match[1]));
  for (const [index, level] of levels.entries())
    assert.ok(level <= (levels[index - 1] ?? 0) + 1, `heading ${index + 1} skips a level`);
  const labelled = [...html.matchAll(/<label\b[^>]*\bfor="([^"]+)"/g)].map((match) => match[1]!);
  const wrapped = [...html.matchAll(/<label\b(?![^>]*\bfor=)[^>]*>([\s\S]*?)<\/label>/g)]
    .map((match) => match[1]!)
    .join();
  for (const [, id] of html.matchAll(/<(?:input|select|textarea)\b[^>]*\bid="([^"]+)"/g))
    assert.ok(labelled.includes(id!) || wrapped.includes(`id="${id}"`), `#${id} has no label`);
  for (const [, id] of html.matchAll(/\baria-(?:labelledby|describedby)="([^"]+)"/g))
    assert.ok(html.includes(`id="${id}"`), `aria names #${id}`);
  for (const [button] of html.matchAll(/<button\b[\s\S]*?<\/button>/g))
    assert.match(button, />\s*[^<\s]/, `no words on ${button}`);
  for (const [cell] of html.matchAll(/<th\b[^>]*>/g)) assert.match(cell, /scope="(col|row)"/, cell);
  const skip = /<body>\s*<a class="skip" href="#([^"]+)"/.exec(html);
  assert.ok(html.includes(`id="${skip![1]}"`), 'the first link skips to something that exists');
  for (const link of ['/openapi.json', '/metrics']) assert.ok(html.includes(`href="${link}"`), link);
});
