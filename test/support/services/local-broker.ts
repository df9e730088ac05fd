/** One Kafka broker (KRaft, broker and controller in one) from jars, on free loopback ports, in a temporary folder. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loadSettings } from '../../../assembly/settings.js';
import { openKafkaLog } from '../../../runtime/log/kafka/log.js';
import { messageOf } from '../../../runtime/process/errors.js';
import { silentLogger } from '../../../runtime/process/logger.js';
import type { FaultProxy } from './fault-proxy.js';

const run = promisify(execFile);
const READY_TIMEOUT_MS = 60_000;
const HEAP = '-Xmx512m';

export interface BrokerOptions {
  /** Added to server.properties. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Clients reach the broker through it. */
  readonly proxy?: FaultProxy;
  /** A second listener for clients, PROTOCOL://host:port; `address` stays the plain one. */
  readonly listener?: string;
  /** For kafka.tools.StorageTool: users of SCRAM. */
  readonly formatArguments?: readonly string[];
}

export class LocalBroker {
  /** The address on which the broker itself listens. */
  readonly address: string;
  /** Its files; the data is in the folders of log.dirs. */
  readonly folder: string;
  readonly #jars: string;
  #process: ChildProcess | null = null;
  #watchdog: ChildProcess | null = null;
  readonly #onExit = () => this.#killNow();

  private constructor(address: string, folder: string, jars: string) {
    this.address = address;
    this.folder = folder;
    this.#jars = jars;
  }

  /** Formats a folder and starts; resolves when the broker answers. */
  static async create(jars: string, options: BrokerOptions = {}): Promise<LocalBroker> {
    const folder = await mkdtemp(join(tmpdir(), 'freshet-kafka-'));
    const [port, controllerPort, ownPort] = [await freePort(), await freePort(), await freePort()];
    const broker = new LocalBroker(`127.0.0.1:${port}`, folder, jars);
    options.proxy?.target(port);
    const file = join(folder, 'server.properties');
    await writeFile(file, properties(folder, { port, controllerPort, ownPort }, options));
    try {
      const clusterId = randomBytes(16).toString('base64url');
      const format = ['format', `--cluster-id=${clusterId}`, '-c', file, ...(options.formatArguments ?? [])];
      await run('java', ['-cp', join(jars, '*'), 'kafka.tools.StorageTool', ...format], { timeout: READY_TIMEOUT_MS });
      await broker.start();
    } catch (error) {
      await broker.stop();
      throw error;
    }
    return broker;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Starts the broker on the data in its folder; resolves when it answers. */
  async start(): Promise<void> {
    const output = openSync(join(this.folder, 'output.log'), 'a');
    const started = spawn(
      'java',
      [HEAP, '-cp', join(this.#jars, '*'), 'kafka.Kafka', join(this.folder, 'server.properties')],
      {
        stdio: ['ignore', output, output],
      },
    );
    closeSync(output);
    this.#process = started;
    // Reads until this process is gone, however it ends, and kills the broker then: no test run leaves one behind.
    this.#watchdog = spawn('sh', ['-c', 'cat >/dev/null; kill -9 "$0" 2>/dev/null', String(started.pid)], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#watchdog.unref();
    process.on('exit', this.#onExit);
    await this.#ready(started);
  }

  /** kill -9: data that the broker has not flushed stays in the page cache, as after a crash of the process. */
  async kill(): Promise<void> {
    const running = this.#process;
    if (running === null) return;
    const gone = exited(running);
    this.#killNow();
    await gone;
  }

  /** TERM, like an operator: the broker shuts down in order, and its folder and port stay for the next start. */
  async terminate(): Promise<void> {
    const running = this.#process;
    if (running === null) return;
    const gone = exited(running);
    running.kill('SIGTERM');
    await gone;
    this.#killNow();
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  #killNow(): void {
    process.off('exit', this.#onExit);
    this.#watchdog?.kill('SIGKILL');
    this.#process?.kill('SIGKILL');
    this.#watchdog = null;
    this.#process = null;
  }

  async #ready(started: ChildProcess): Promise<void> {
    const settings = loadSettings({ KAFKA_BROKERS: this.address });
    const deadline = Date.now() + READY_TIMEOUT_MS;
    for (;;) {
      try {
        const log = await openKafkaLog(settings, silentLogger);
        await log.close();
        return;
      } catch (error) {
        const output = await readFile(join(this.folder, 'output.log'), 'utf8').catch(() => '');
        if (started.exitCode !== null) throw new Error(`the broker ended by itself:\n${output.slice(-2000)}`);
        if (Date.now() > deadline)
          throw new Error(`the broker is not ready: ${messageOf(error)}\n${output.slice(-2000)}`);
      }
    }
  }
}

function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

interface Ports {
  /** For clients, or for the proxy in front of them. */
  readonly port: number;
  readonly controllerPort: number;
  /** For the broker's own requests: faults of the proxy do not affect them. */
  readonly ownPort: number;
}

function properties(folder: string, { port, controllerPort, ownPort }: Ports, options: BrokerOptions): string {
  const more = options.listener === undefined ? '' : `,${options.listener}`;
  const own = `OWN://127.0.0.1:${ownPort}`;
  const settings = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort},${own}${more}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${options.proxy?.port ?? port},${own}${more}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'OWN',
    'listener.security.protocol.map':
      'CONTROLLER:PLAINTEXT,OWN:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL',
    'log.dirs': join(folder, 'data'),
    'auto.create.topics.enable': 'false',
    // A single node holds every replica.
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    // Fewer partitions of the internal topics start faster.
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.num.partitions': '4',
    'group.initial.rebalance.delay.ms': '0',
    // Whatever may be compacted is compacted at once; topics say what may.
    'log.cleaner.backoff.ms': '200',
    // A killed broker may return only once its old session is over.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
    ...options.settings,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}
