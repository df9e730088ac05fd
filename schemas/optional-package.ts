/**
 * Packages that only some installations need, such as the ones with native code: optional peers in package.json, so that
 * npm installs them only on request. Each is loaded when it is used.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './project-root.js';

/** A package is needed that is not installed; the message says how to install it. */
export class NotInstalled extends Error {
  constructor(name: string) {
    super(`${howToInstall(name)}.`);
    this.name = 'NotInstalled';
  }
}

/** Runs an `import()` of a package. Throws NotInstalled if the package is not there. */
export async function importOptional<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (isMissing(error, name)) throw new NotInstalled(name);
    throw error;
  }
}

/** "… is not installed: npm i …", with the version that this release was tested with. */
export function howToInstall(name: string): string {
  return `${name} is not installed: npm i ${name}@${optionalVersion(name)}`;
}

export function optionalVersion(name: string): string {
  const { peerDependencies } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
    peerDependencies: Readonly<Record<string, string>>;
  };
  const version = peerDependencies[name];
  if (version === undefined) throw new Error(`${name} is not a peer in package.json`);
  return version;
}

/** A package that is there but lacks one of its own is another error. */
function isMissing(error: unknown, name: string): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ERR_MODULE_NOT_FOUND' && message.includes(`'${name}'`);
}
