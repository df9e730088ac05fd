/** The broker's jars, fetched once through Maven into .cache/kafka. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../../../schemas/project-root.js';

const run = promisify(execFile);
const FOLDER = join(projectRoot, '.cache', 'kafka');
const POM = join(projectRoot, 'deploy', 'kafka', 'pom.xml');
const MAIN_JAR = 'kafka_2.13-4.1.0.jar';
const FETCH_TIMEOUT_MS = 300_000;

/** The folder of jars, or a sentence that says what is missing to obtain them. */
export async function kafkaJars(): Promise<{ folder: string } | { missing: string }> {
  if (!(await works('java', ['-version']))) return { missing: 'java, which runs the broker, is not in PATH' };
  if (existsSync(join(FOLDER, MAIN_JAR))) return { folder: FOLDER };
  if (!(await works('mvn', ['-version'])))
    return { missing: `the broker's jars are not in ${FOLDER}, and mvn, which fetches them, is not in PATH` };
  const fetched = `${FOLDER}.${process.pid}`;
  await mkdir(fetched, { recursive: true });
  try {
    const goal = ['-q', '-B', '-f', POM, 'dependency:copy-dependencies', `-DoutputDirectory=${fetched}`];
    await run('mvn', goal, { timeout: FETCH_TIMEOUT_MS });
    // Another process may have been faster: then its folder is just as good.
    await rename(fetched, FOLDER).catch((error: unknown) => {
      if (!existsSync(join(FOLDER, MAIN_JAR))) throw error;
    });
  } catch (error) {
    return {
      missing: `mvn could not fetch the broker's jars: ${error instanceof Error ? error.message : String(error)}`,
    };
  } finally {
    await rm(fetched, { recursive: true, force: true });
  }
  return { folder: FOLDER };
}

async function works(command: string, args: readonly string[]): Promise<boolean> {
  try {
    await run(command, [...args], { timeout: 20_000 });
    return true;
  } catch {
    return false;
  }
}
