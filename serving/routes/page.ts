/**
 * The page and its files. The list is made once, when the server is built: a request can only name an entry of it, so
 * no path from outside ever reaches the disk.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import type { FastifyInstance } from 'fastify';
import { FreshetError } from '../../runtime/process/errors.js';
import { projectRoot } from '../../schemas/project-root.js';

export const WEB_FOLDER = join(projectRoot, 'serving', 'web');

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
};
const UPLOT_FILES = ['uPlot.esm.js', 'uPlot.iife.min.js', 'uPlot.min.css'];

interface PageFile {
  readonly url: string;
  readonly type: string;
  readonly body: Buffer;
  /** The body compressed, by its content coding; none for files that are compressed already. */
  readonly compressed: ReadonlyMap<string, Buffer>;
  readonly etag: string;
  /** Seconds for which a browser may cache it without asking; 0: it asks every time, which the ETag makes cheap. */
  readonly maxAgeS: number;
}

/** index.html at /, every other file of the folder and the chart library under /assets/. */
function pageFiles(folder: string): PageFile[] {
  if (!existsSync(join(folder, 'index.html')))
    throw new FreshetError('state', `${folder} has no index.html: the installation is incomplete, install it again.`);
  const own = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && extname(entry.name) in TYPES)
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const name = path.slice(folder.length + 1).replaceAll('\\', '/');
      return pageFile(name === 'index.html' ? '/' : `/assets/${name}`, path, 0);
    });
  const uplot = dirname(createRequire(import.meta.url).resolve('uplot/package.json'));
  return [...own, ...UPLOT_FILES.map((name) => pageFile(`/assets/${name}`, join(uplot, 'dist', name), 86_400))];
}

function pageFile(url: string, path: string, maxAgeS: number): PageFile {
  const body = readFileSync(path);
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  const type = TYPES[extname(path)]!;
  const compressed = new Map<string, Buffer>();
  if (/^(text|application)\/|svg/.test(type)) {
    compressed.set('br', brotliCompressSync(body));
    compressed.set('gzip', gzipSync(body));
  }
  return { url, type, body, compressed, etag, maxAgeS };
}

/** Throws FreshetError('state') when the page is not installed. */
export function addPage(app: FastifyInstance, folder = WEB_FOLDER): void {
  for (const { url, type, body, compressed, etag, maxAgeS } of pageFiles(folder)) {
    const cache = maxAgeS === 0 ? 'no-cache' : `private, max-age=${maxAgeS}`;
    app.get(url, { config: { access: 'read', page: true }, schema: { hide: true } }, (request, reply) => {
      void reply.header('etag', etag).header('cache-control', cache);
      if (request.headers['if-none-match'] === etag) return reply.code(304).send();
      const accepted = (request.headers['accept-encoding'] ?? '').split(',').map((one) => one.split(';', 1)[0]!.trim());
      const coding = [...compressed.keys()].find((name) => accepted.includes(name));
      void reply.type(type).header('vary', 'accept-encoding');
      if (coding === undefined) return reply.send(body);
      return reply.header('content-encoding', coding).send(compressed.get(coding));
    });
  }
}
