import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { howToInstall, importOptional, NotInstalled } from '../../../schemas/optional-package.js';

/** What Node throws for a package that is not installed. */
const missing = (name: string) =>
  Object.assign(new Error(`Cannot find package '${name}' imported from /app/dist/a.js`), {
    code: 'ERR_MODULE_NOT_FOUND',
  });

describe('optional packages', () => {
  it('say how to install them, with the version of package.json', () => {
    assert.match(howToInstall('faiss-node'), /^faiss-node is not installed: npm i faiss-node@\d+\.\d+\.\d+$/);
    assert.throws(() => howToInstall('pg'), /pg is not a peer/);
  });

  it('are returned where they are installed', async () => {
    const { default: path } = await importOptional('node:path', () => import('node:path'));
    assert.equal(path.posix.join('a', 'b'), 'a/b');
  });

  it('throw NotInstalled where they are missing, and any other error as it is', async () => {
    const absent = importOptional('faiss-node', () => Promise.reject(missing('faiss-node')));
    await assert.rejects(
      absent,
      (error) => error instanceof NotInstalled && error.message === `${howToInstall('faiss-node')}.`,
    );
    const inner = missing('bindings');
    await assert.rejects(
      importOptional('faiss-node', () => Promise.reject(inner)),
      (error) => error === inner,
    );
  });
});
