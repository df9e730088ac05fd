/** The HTTP server as a service: listens on start; on stop it lets pending requests finish, but not for long. */
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { FreshetError, messageOf } from '../runtime/process/errors.js';
import type { Service } from '../runtime/process/service.js';
import { isAnyAddress } from './access/hosts.js';
import { buildApp } from './app.js';
import { LAST_WRITES_MS_MAX, STOP_MS_MAX } from './limits.js';
import type { ServingOptions } from './ports.js';

export interface Server extends Service {
  /** The server's address on this machine, e.g. http://127.0.0.1:8080. Throws before start. */
  address(): string;
}

/**
 * Builds the server without listening. `start` throws FreshetError('settings') when it cannot listen on HOST and PORT.
 * Throws FreshetError('settings') for invalid tokens, or none although HOST is reachable from other machines.
 */
export async function createServer(options: ServingOptions & { readonly webFolder?: string }): Promise<Server> {
  const stopping = new AbortController();
  const app = await buildApp({ ...options, stopping: stopping.signal });
  const { HOST: host, PORT: port } = options.settings;
  return serverOf('serving', app, { host, port, setting: 'PORT' }, stopping);
}

/** Where a server listens, and the setting that says so. */
interface ListenAt {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly setting: 'PORT' | 'METRICS_PORT';
}

/** `stopping` is aborted when the server stops. */
export function serverOf(name: string, app: FastifyInstance, at: ListenAt, stopping: AbortController): Server {
  let started: Promise<void> | null = null;
  let stopped: Promise<void> | null = null;
  return {
    name,
    start: () => {
      if (stopped !== null) return Promise.reject(new FreshetError('internal', `${name} was stopped; create it again`));
      started ??= listen(app, at);
      return started;
    },
    stop: () => {
      stopping.abort();
      stopped ??= (started ?? Promise.resolve()).catch(() => undefined).then(() => close(app));
      return stopped;
    },
    address: () => addressOf(app, at.host),
  };
}

async function listen(app: FastifyInstance, at: ListenAt): Promise<void> {
  try {
    await app.listen({ host: bareHost(at.host), port: at.port });
  } catch (error) {
    throw new FreshetError('settings', cannotListen(at, error), { cause: error });
  }
}

/**
 * Whether the port is free at this moment, found out before anything else is started. Throws FreshetError('settings')
 * as the start of the server would.
 */
export async function checkPort(at: ListenAt): Promise<void> {
  const probe = createNetServer();
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject);
      probe.listen({ host: bareHost(at.host), port: at.port }, resolve);
    });
  } catch (error) {
    throw new FreshetError('settings', cannotListen(at, error), { cause: error });
  } finally {
    await new Promise((resolve) => probe.close(resolve));
  }
}

/** Without the brackets of an IPv6 address. */
function bareHost(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}

function cannotListen({ host, port, setting }: ListenAt, error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is taken by another program: stop that program, or set ${setting} to a free port (0: any free port).`;
    case 'EACCES':
      return `Port ${port} may not be used by this user: set ${setting} to 1024 or above.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `HOST is ${host}, which is not an address of this machine: set it to one, to 127.0.0.1, or to 0.0.0.0 for all.`;
    default:
      return `The server cannot listen on ${host} port ${port}: ${messageOf(error)}.`;
  }
}

/**
 * Idle connections end at once, the others with their answer (`connection: close`); any request not answered within
 * STOP_MS_MAX is cut off, so that a stop never hangs on a slow client or a silent store.
 */
async function close(app: FastifyInstance): Promise<void> {
  const closing = app.close().then(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      app.server.closeAllConnections();
      resolve();
    }, STOP_MS_MAX);
  });
  const patience = late.then(
    () =>
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, LAST_WRITES_MS_MAX);
      }),
  );
  try {
    await Promise.race([closing, patience]);
  } finally {
    clearTimeout(timer);
  }
}

function addressOf(app: FastifyInstance, host: string): string {
  const address = app.server.address() as AddressInfo | null;
  if (address === null) throw new FreshetError('internal', 'the server has no address before it is started');
  const name = isAnyAddress(host) ? '127.0.0.1' : bareHost(host);
  return `http://${name.includes(':') ? `[${name}]` : name}:${address.port}`;
}
