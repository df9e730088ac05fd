/**
 * Keeps a private server running: when it dies, it is started again under the same address, so that clients reconnect
 * by themselves. A server that keeps dying right after its start will not be better at the next one: that is reported
 * once, for good.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { FreshetError, messageOf } from '../process/errors.js';
import type { Logger } from '../process/logger.js';
import type { ServerProcess } from './private-server.js';

/** A server that has run for this long has recovered, ms. */
const STABLE_MS = 30_000;
const DEATHS_MAX = 6;
const RESTART_MS = { first: 100, most: 5_000 };

interface SupervisedServer {
  /** Shown in messages, e.g. "Private Redis". */
  readonly name: string;
  /** The running server. */
  readonly server: ServerProcess;
  /** Starts it again and waits until it answers. */
  readonly again: () => Promise<ServerProcess>;
  readonly logger: Logger;
  /** Called once, when it is not started again any more. */
  readonly onFailed: (error: FreshetError) => void;
}

/** Watches a server from now on; `stop` ends the watch and the server, and may be called repeatedly. */
export function supervise(options: SupervisedServer): { stop(): Promise<void> } {
  const ending = new AbortController();
  let server: ServerProcess | null = options.server;
  const watching = watch(options, ending.signal, (running) => {
    server = running;
  });
  return {
    stop: async () => {
      ending.abort();
      await server?.stop();
      await watching;
      // It may have been started again in the meantime.
      await server?.stop();
    },
  };
}

async function watch(
  { name, server: first, again, logger, onFailed }: SupervisedServer,
  ending: AbortSignal,
  onRunning: (server: ServerProcess | null) => void,
): Promise<void> {
  let server: ServerProcess | null = first;
  let startedMs = performance.now();
  for (let deaths = 0; ; ) {
    let why = 'it could not be started';
    if (server !== null) {
      await server.gone;
      why = server.ended() ?? why;
    }
    if (ending.aborted) return;
    onRunning(null);
    deaths = server !== null && performance.now() - startedMs >= STABLE_MS ? 1 : deaths + 1;
    if (deaths > DEATHS_MAX) {
      onFailed(
        new FreshetError('unavailable', `${name} died ${deaths} times in a row and is not started again: ${why}`),
      );
      return;
    }
    const waitMs = Math.min(RESTART_MS.most, RESTART_MS.first * 2 ** (deaths - 1));
    logger.error({ event: 'private_server_died', server: name, deaths, restart_in_ms: waitMs, reason: why }, why);
    await sleep(waitMs, undefined, { signal: ending, ref: false }).catch(() => undefined);
    if (ending.aborted) return;
    startedMs = performance.now();
    try {
      server = await again();
      logger.warn({ event: 'private_server_restarted', server: name, pid: server.pid }, `${name} runs again`);
    } catch (error) {
      server = null;
      logger.error({ event: 'private_server_not_restarted', server: name, error: messageOf(error) });
    }
    onRunning(server);
  }
}
