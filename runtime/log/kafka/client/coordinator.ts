/** Questions to the coordinator of one group or one transactional id, wherever it is at the moment. */

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

  /** Looks the coordinator up if need be. Errors: LinkError, KafkaError. */
  async nodeId(): Promise<number> {
    this.#nodeId ??= await this.#cluster.coordinator(this.#kind, this.#key);
    return this.#nodeId;
  }

  /**
   * `errorOf` finds Kafka's error number in the answer. Errors: KafkaError when it is not 0 (`what` begins its
   * sentence), LinkError. After an error that means the coordinator may have moved it is looked up anew next time.
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
