/**
 * Chooses how to reach the topics: the brokers if there are any, otherwise the Freshet that holds the data folder,
 * otherwise the log on disk, which this command then holds itself. The logs are loaded on demand: most commands need
 * neither or one.
 */
import { join } from 'node:path';
import { applyDeclaredTopics } from '../../runtime/log/apply-topics.js';
import { openReadingCodec, openWritingCodec } from '../../runtime/log/writing-codec.js';
import { type DataFolder, type LockRecord, openDataFolder, readLock } from '../../runtime/process/data-folder.js';
import { FreshetError } from '../../runtime/process/errors.js';
import type { Codec } from '../../schemas/codec.js';
import { allTopics } from '../../topics/all.js';
import type { TopicDeclaration } from '../../topics/topic.js';
import type { Shell } from '../shell.js';
import type { LogAccess } from './access.js';
import { ApiClient } from './api-client.js';
import { DirectAccess } from './direct.js';
import { HttpAccess } from './http.js';

interface OpenOptions {
  /** Topics that will be written: with a registry their schemas are registered; in the log on disk they are created. */
  readonly writes?: readonly string[];
}

/** Errors: those of the log, the registry or the data folder; `locked` while another process is still starting. */
export async function openLogAccess(shell: Shell, options: OpenOptions = {}): Promise<LogAccess> {
  const { settings } = shell;
  const holder = settings.KAFKA_BROKERS === undefined ? await readLock(settings.FRESHET_DATA_DIR) : null;
  if (holder !== null) return new HttpAccess(clientOf(settings.FRESHET_DATA_DIR, holder));
  return await openDirectAccess(shell, options);
}

/** The log itself: on the brokers, otherwise on disk. */
export async function openDirectAccess(shell: Shell, { writes = [] }: OpenOptions = {}): Promise<DirectAccess> {
  const { settings, logger } = shell;
  const declarations = allTopics();
  if (settings.KAFKA_BROKERS !== undefined) {
    const codec = await codecFor(shell, declarations, writes);
    const { openKafkaLog } = await import('../../runtime/log/kafka/log.js');
    const where = `Kafka at ${settings.KAFKA_BROKERS.join(', ')}`;
    return new DirectAccess({ log: await openKafkaLog(settings, logger), codec, declarations, where });
  }
  const codec = await codecFor(shell, declarations, writes);
  return await onDisk(shell, declarations, codec, writes.length > 0);
}

/** A client of the process that holds the data folder. Throws FreshetError('locked') while it is not listening yet. */
export function clientOf(path: string, { pid, address, token }: LockRecord): ApiClient {
  if (address === undefined)
    throw new FreshetError(
      'locked',
      `Process ${pid} holds the data folder ${path} but is not listening yet: try again once it is ready.`,
    );
  return new ApiClient(address, token);
}

function codecFor(shell: Shell, declarations: readonly TopicDeclaration[], writes: readonly string[]): Promise<Codec> {
  const written = declarations.filter(({ name }) => writes.includes(name));
  return written.length > 0 ? openWritingCodec(shell.settings, written) : openReadingCodec(shell.settings);
}

async function onDisk(
  { settings, logger }: Shell,
  declarations: readonly TopicDeclaration[],
  codec: Codec,
  createTopics: boolean,
): Promise<DirectAccess> {
  const folder: DataFolder = await openDataFolder(settings.FRESHET_DATA_DIR);
  try {
    const { openEmbeddedLog } = await import('../../runtime/log/embedded/log.js');
    const log = await openEmbeddedLog(embeddedLogFolder(folder.path), logger);
    if (createTopics) await applyDeclaredTopics(log, declarations, settings, logger);
    const where = `the log in ${folder.path}`;
    return new DirectAccess({ log, codec, declarations, where, onClose: () => folder.release() });
  } catch (error) {
    await folder.release();
    throw error;
  }
}

/** The folder of the log on disk within a data folder. */
function embeddedLogFolder(dataFolder: string): string {
  return join(dataFolder, 'log');
}
