/**
 * Probes: events of products that nothing else touches, sent one at a time and looked up in the stores, so that the
 * time from "about to be sent" to "readable" is measured from outside.
 */
import { Layout } from '../../publishing/layout.js';
import type { LogWriter } from '../../runtime/log/log.js';
import type { Database } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { Codec } from '../../schemas/codec.js';
import type { Event } from '../../schemas/records.js';
import { featureSet } from '../../topics/feature-set.js';

export interface ProbeTargets {
  readonly writer: LogWriter;
  readonly online: OnlineStore;
  readonly database: Database;
}

interface Waiting {
  readonly sentAt: number;
}

const ONLINE_POLL_MS = 2;
const TABLE_POLL_MS = 5;
const SET = featureSet(1);
const SELECT = `SELECT product_id FROM ${SET.tables.popularity} WHERE product_id = ANY($1)`;

/** Sends probes and collects how long each took to be readable, ms. */
export class Probes {
  readonly onlineMs: number[] = [];
  readonly tableMs: number[] = [];
  readonly #targets: ProbeTargets;
  readonly #codec = new Codec();
  readonly #day = new Layout().features(SET).popularityDay;
  readonly #waitingOnline = new Map<string, Waiting>();
  readonly #waitingTable = new Map<string, Waiting>();
  readonly #loops: Promise<void>[];
  #sent = 0;
  #ended = false;
  #settled: () => void = () => undefined;

  constructor(targets: ProbeTargets) {
    this.#targets = targets;
    this.#loops = [
      this.#watch(this.#waitingOnline, this.onlineMs, ONLINE_POLL_MS, (ids) => this.#inOnline(ids)),
      this.#watch(this.#waitingTable, this.tableMs, TABLE_POLL_MS, (ids) => this.#inTable(ids)),
    ];
  }

  /** Sends one event of a new product; resolves when the log has it. */
  async send(user = `probe-user-${this.#sent}`): Promise<void> {
    const product_id = `probe-${process.pid}-${this.#sent++}`;
    const event: Event = {
      event_id: product_id,
      user_id: user,
      product_id,
      category: 'probes',
      event_type: 'view',
      ts: Date.now(),
    };
    const sentAt = performance.now();
    this.#targets.writer.add('events', Buffer.from(user), this.#codec.encode('Event', event));
    this.#waitingOnline.set(product_id, { sentAt });
    this.#waitingTable.set(product_id, { sentAt });
    await this.#targets.writer.flush();
  }

  /** Resolves when every probe sent so far was seen in both stores. */
  async settled(): Promise<void> {
    while (this.#waitingOnline.size + this.#waitingTable.size > 0)
      await Promise.race([new Promise<void>((resolve) => (this.#settled = resolve)), ...this.#loops]);
  }

  /** Discards the measurements so far. */
  clear(): void {
    this.onlineMs.length = 0;
    this.tableMs.length = 0;
  }

  async end(): Promise<void> {
    this.#ended = true;
    await Promise.all(this.#loops);
  }

  async #watch(
    waiting: Map<string, Waiting>,
    into: number[],
    pollMs: number,
    visible: (ids: string[]) => Promise<string[]>,
  ): Promise<void> {
    while (!this.#ended) {
      if (waiting.size > 0) {
        const seen = await visible([...waiting.keys()]);
        const now = performance.now();
        for (const id of seen) {
          into.push(now - waiting.get(id)!.sentAt);
          waiting.delete(id);
        }
        if (seen.length > 0) this.#settled();
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  async #inOnline(ids: string[]): Promise<string[]> {
    const days = await this.#targets.online.hmget(this.#day, ids);
    return ids.filter((_, i) => days[i] !== null);
  }

  async #inTable(ids: string[]): Promise<string[]> {
    const rows = await this.#targets.database.query<{ product_id: string }>(SELECT, [ids]);
    return rows.map(({ product_id }) => product_id);
  }
}
