/** Commands alongside a running Freshet: a data folder held by this process, and a server on fakes announced in it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openDataFolder } from '../../runtime/process/data-folder.js';
import { createServer } from '../../serving/server.js';
import { runCommand, type Said } from '../unit/cli/run-command.js';
import { servingOptions } from './serving.js';

/** The fakes, and the command, which uses the data folder where they are served. */
export async function besideFreshet(test: TestContext) {
  const base = mkdtempSync(join(tmpdir(), 'freshet-beside-'));
  const folder = await openDataFolder(join(base, 'data'));
  const { options, ...fakes } = await servingOptions();
  const server = await createServer(options);
  await server.start();
  await folder.announce(server.address());
  test.after(async () => {
    await server.stop();
    await folder.release();
    rmSync(base, { recursive: true, force: true });
  });
  const freshet = (...args: string[]): Promise<Said> =>
    runCommand(args, { environment: { FRESHET_DATA_DIR: folder.path, PORT: '0' } });
  return { ...fakes, address: server.address(), freshet };
}
