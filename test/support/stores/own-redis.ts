/** A private Redis of a test, to be killed, emptied, restored and restarted under the same address. */
import * as files from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inPath, type ServerProcess, startServer, untilReady } from '../../../runtime/stores/private-server.js';
import type { RedisOptions } from '../../../runtime/stores/redis/redis.js';
import { untilGone } from '../processes.js';
import { redisCommand, redisPid } from '../services/redis-command.js';
import { refuseStandIn } from '../services/service.js';

const READY_MS_MAX = 10_000;
const DATA = 'data';

export class OwnRedis {
  readonly options: RedisOptions;
  readonly #program: string;
  readonly #folder: string;
  #server: ServerProcess | null = null;
  #copies = 0;

  private constructor(program: string, folder: string) {
    this.#program = program;
    this.#folder = folder;
    this.options = { path: join(folder, 's') };
  }

  /** A running one; null if no server is installed. Throws then if REQUIRE_REAL requires one. */
  static async open(...settings: string[]): Promise<OwnRedis | null> {
    const program = (await inPath('redis-server')) ?? (await inPath('valkey-server'));
    if (program === null) {
      refuseStandIn('redis', 'no redis-server or valkey-server in PATH');
      return null;
    }
    const redis = new OwnRedis(program, await files.mkdtemp(join(tmpdir(), 'freshet-redis-')));
    await redis.start(...settings);
    return redis;
  }

  /** `settings` are lines of redis.conf. Resolves when it answers, even if only that it is still loading. */
  async start(...settings: string[]): Promise<void> {
    const configuration = join(this.#folder, 'redis.conf');
    await files.mkdir(join(this.#folder, DATA), { recursive: true });
    const lines = [
      `dir ${join(this.#folder, DATA)}`,
      `unixsocket ${this.options.path}`,
      'port 0',
      'daemonize no',
      'set-proc-title no',
      'save ""',
      'appendonly yes',
      'maxmemory-policy noeviction',
      ...settings,
    ];
    await files.writeFile(configuration, `${lines.join('\n')}\n`);
    this.#server = await startServer({
      name: 'Redis',
      program: this.#program,
      args: [configuration],
      logPath: join(this.#folder, 'log'),
      folder: this.#folder,
      user: null,
      environment: { LC_ALL: 'C' },
      stopSignal: 'SIGTERM',
    });
    await untilReady(this.#server, READY_MS_MAX, () =>
      this.command('PING').catch((error: unknown) => {
        if (!String(error).includes('LOADING')) throw error;
      }),
    );
  }

  command(...words: string[]): Promise<string> {
    return redisCommand(this.options, ...words);
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const pid = await redisPid(this.options);
    process.kill(pid, 'SIGKILL');
    await untilGone(pid);
  }

  /** The current contents of its disk, like a snapshot of the file system. */
  async copyData(): Promise<string> {
    const pid = await redisPid(this.options);
    const copy = join(this.#folder, `copy${++this.#copies}`);
    process.kill(pid, 'SIGSTOP');
    try {
      await files.cp(join(this.#folder, DATA), copy, { recursive: true });
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    return copy;
  }

  /** Only while it is not running: its data is replaced by the copy, or by nothing. */
  async putBack(copy: string | null): Promise<void> {
    await files.rm(join(this.#folder, DATA), { recursive: true, force: true });
    if (copy !== null) await files.cp(copy, join(this.#folder, DATA), { recursive: true });
  }

  async close(): Promise<void> {
    await this.#server?.stop();
    await files.rm(this.#folder, { recursive: true, force: true });
  }
}
