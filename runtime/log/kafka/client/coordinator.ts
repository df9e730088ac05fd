/** Requests to the coordinator of one group or one transactional id, wherever it currently is. */
import type { CoordinatorKind } from '../wire/cluster-messages.js';
import { KafkaError, LinkError } from '../wire/errors.js';
import type { Exchange } from '../wire/wire.js';
import type { Cluster } from './cluster.js';
import type { Links } from './link.js';

export class Coordinator {
  readonly #cluster: Cluster;
  readonly #links: Links;
  readonly #kind: CoordinatorKind;
  readonly #key: string;
  #nodeId: number | null = null;

  constructor(cluster: Cluster, links: Links, kind: CoordinatorKind, key: string) {
    this.#cluster = cluster;
    this.#links = links;
    this.#kind = kind;
    this.#key = key;
  }

  /** Looks up the coordinator if necessary. Throws LinkError, KafkaError. */
  async nodeId(): Promise<number> {
    this.#nodeId ??= await this.#cluster.coordinator(this.#kind, this.#key);
    return this.#nodeId;
  }

  /**
   * `errorOf` extracts Kafka's error number from the answer. Throws KafkaError when it is not 0 (`what` starts its
   * message), LinkError. After an error which means that the coordinator moved, the next call looks it up again.
   */
  async ask<A>(exchange: Exchange<A>, errorOf: (answer: A) => number, what: string): Promise<A> {
    try {
      const link = await this.#links.to(await this.nodeId());
      const answer = await link.send(exchange);
      const number = errorOf(answer);
      if (number !== 0) throw new KafkaError(number, what);
      return answer;
    } catch (error) {
      if (error instanceof LinkError || (error instanceof KafkaError && error.kind === 'coordinator'))
        this.#nodeId = null;
      throw error;
    }
  }
}
