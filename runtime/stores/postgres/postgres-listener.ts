/**
 * Notifications of one channel, over a separate connection that is reopened whenever it is lost. Postgres keeps no
 * notification for a connection that is not there, so each time it stands again the reader is told to look for itself.
 */
import type pg from 'pg';
import { systemClock } from '../../process/clock.js';
import { asError } from '../../process/errors.js';
import type { Heard, Listener } from '../database.js';

interface ListenerOptions {
  /** A client that was not connected yet. */
  readonly client: () => pg.Client;
  readonly channel: string;
  readonly heard: Heard;
  /** Called once per outage. */
  readonly onLost: (error: Error) => void;
}

const RETRY_MS = 500;

export class PostgresListener implements Listener {
  readonly #o: ListenerOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #client: pg.Client | null = null;

  constructor(options: ListenerOptions) {
    this.#o = options;
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#client?.end().catch(() => undefined);
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let isLost = false;
    while (!signal.aborted) {
      const client = this.#o.client();
      this.#client = client;
      try {
        await this.#listen(client, () => {
          isLost = false;
        });
      } catch (error) {
        if (!isLost && !signal.aborted) this.#o.onLost(asError(error));
        isLost = true;
      }
      client.end().catch(() => undefined);
      await systemClock.sleep(RETRY_MS, signal);
    }
  }

  /** Rejects when the connection is lost. */
  async #listen(client: pg.Client, stands: () => void): Promise<void> {
    const lost = new Promise<never>((_, reject) => {
      client.on('error', reject);
      client.on('end', () => reject(new Error('Connection terminated')));
    });
    client.on('notification', ({ payload = '' }) => this.#o.heard(payload));
    await Promise.race([client.connect(), lost]);
    await Promise.race([client.query(`LISTEN ${client.escapeIdentifier(this.#o.channel)}`), lost]);
    stands();
    this.#o.heard(null);
    await lost;
  }
}
