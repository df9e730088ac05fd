/**
 * Membership in a group by the classic protocol: join, get tasks, heartbeat; when the group rebalances, give up the
 * tasks and join again. Members share tasks, not partitions; the partitions are only shown to Kafka's tools.
 *
 *   join ──→ onAssigned ──→ heartbeats ──→ onRevoked ──→ join …       leave(): onRevoked, LeaveGroup, end
 *
 * A member that cannot reach the coordinator keeps its tasks until the coordinator says otherwise: its writes are
 * fenced by transactional ids, and a restarted broker gives every member a fresh session.
 */
import { systemClock } from '../../../process/clock.js';
import { asError, messageOf } from '../../../process/errors.js';
import type { Logger } from '../../../process/logger.js';
import type { Assignment, Membership, MembershipOptions, TopicPartition } from '../../log.js';
import { ILLEGAL_GENERATION, KafkaError, MEMBER_ID_REQUIRED, passes, REBALANCE_IN_PROGRESS } from '../wire/errors.js';
import { decodeClaim, decodeTasks, encodeAssignment, encodeSubscription } from '../wire/group-bytes.js';
import {
  commitOffsets,
  type JoinAnswer,
  joinGroup,
  leaveGroup,
  type MemberKey,
  syncGroup,
} from '../wire/group-messages.js';
import { assignTasks } from './assignment.js';
import type { Cluster } from './cluster.js';
import { Coordinator } from './coordinator.js';
import { type Ending, Heart } from './heart.js';
import { lifetimeWithin } from './lifetime.js';
import { pauseMs, persist } from './retry.js';

const SESSION_TIMEOUT_MS = 8_000;
/** How long onRevoked may take before the group continues without this member. */
const REBALANCE_TIMEOUT_MS = 30_000;
const JOIN_LIMIT_MS = 30_000;
/** With 'consumer', Kafka's tools can read the assignments. */
const PROTOCOL_TYPE = 'consumer';
const PROTOCOL = 'freshet';
const NO_GENERATION = -1;
/** After these errors we are still a member of the group; with a new id, the group would wait for the old one. */
const STILL_KNOWN: ReadonlySet<number> = new Set([ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS]);

export class KafkaMembership implements Membership {
  readonly #cluster: Cluster;
  readonly #options: MembershipOptions;
  readonly #logger: Logger;
  readonly #topics: readonly string[];
  readonly #leaving = new AbortController();
  readonly #left: Promise<'leaving'>;
  /** Ends the group's connection, on which a join may be waiting. */
  readonly #closing: AbortController;
  readonly #coordinator: Coordinator;
  #memberId = '';
  #generation = NO_GENERATION;
  #held: { readonly generation: number; readonly tasks: readonly number[] } = { generation: NO_GENERATION, tasks: [] };
  #joining = false;
  #heart: Heart | null = null;
  #ended: Promise<void> = Promise.resolve();

  private constructor(cluster: Cluster, options: MembershipOptions, logger: Logger) {
    this.#cluster = cluster;
    this.#closing = lifetimeWithin(cluster.signal);
    this.#options = options;
    this.#logger = logger;
    this.#left = new Promise((resolve) => {
      this.#leaving.signal.addEventListener('abort', () => resolve('leaving'), { once: true });
    });
    const partitions = Array.from({ length: options.tasks }, (_, task) => options.partitionsOf(task)).flat();
    this.#topics = [...new Set(partitions.map(({ topic }) => topic))].sort();
    const links = cluster.links(this.#closing.signal);
    this.#coordinator = new Coordinator(cluster, links, 'group', options.group);
  }

  /** Resolves when the coordinator is found; tasks arrive through onAssigned. Throws 'timeout', 'access'. */
  static async join(cluster: Cluster, options: MembershipOptions, logger: Logger): Promise<KafkaMembership> {
    const membership = new KafkaMembership(cluster, options, logger);
    const patience = {
      limitMs: JOIN_LIMIT_MS,
      signal: membership.#closing.signal,
      what: `finding the coordinator of group ${options.group}`,
    };
    await persist(patience, () => membership.#coordinator.nodeId());
    membership.#ended = membership.#run();
    return membership;
  }

  /** Resolves when the membership has ended, for whatever reason. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Every call sends a heartbeat; concurrent calls share one. */
  async confirmed(): Promise<boolean> {
    return this.#heart === null ? false : this.#heart.confirmed();
  }

  async showOffsets(offsets: readonly (TopicPartition & { offset: number })[]): Promise<void> {
    if (this.#heart === null || offsets.length === 0) return;
    try {
      await this.#coordinator.ask(
        commitOffsets(this.#key(), offsets),
        same,
        `showing offsets of ${this.#options.group}`,
      );
    } catch (error) {
      const usual =
        passes(error) || (error instanceof KafkaError && error.kind === 'member') || this.#closing.signal.aborted;
      this.#logger[usual ? 'debug' : 'warn']({ event: 'show_offsets_failed', error: messageOf(error) });
    }
  }

  /** Gives up the tasks (onRevoked), then leaves the group. Do not await in a callback. Repeating is harmless. */
  leave(): Promise<void> {
    this.#leaving.abort();
    // A join waits for all other members: leaving must not.
    if (this.#joining) this.#closing.abort();
    return this.#ended;
  }

  async #run(): Promise<void> {
    let failure: Error | null = null;
    try {
      for (;;) {
        const assignment = await this.#rebalance();
        if (assignment === null) break;
        await this.#hold(assignment);
      }
    } catch (error) {
      failure = asError(error);
    }
    this.#closing.abort();
    await this.#tellLeaving();
    if (failure !== null) this.#options.onFailed(failure);
  }

  /** One generation, from its assignment until it is given up. */
  async #hold(assignment: Assignment): Promise<void> {
    const heart = new Heart(this.#coordinator, this.#key());
    this.#heart = heart;
    let ending: Ending | 'leaving' = 'leaving';
    try {
      this.#logger.info({ event: 'tasks_assigned', group: this.#options.group, ...assignment });
      await this.#options.onAssigned(assignment);
      ending = await Promise.race([heart.ended, this.#left]);
    } finally {
      try {
        this.#logger.info({ event: 'tasks_revoked', group: this.#options.group, reason: ending });
        await this.#options.onRevoked();
      } finally {
        heart.stop();
        this.#heart = null;
        this.#generation = NO_GENERATION;
      }
    }
    if (ending === 'lost') this.#memberId = '';
  }

  /** Joins until it has an assignment; null when leaving. */
  async #rebalance(): Promise<Assignment | null> {
    this.#joining = true;
    try {
      for (let troubles = 0; !this.#leaving.signal.aborted; ) {
        try {
          const assignment = await this.#joinAndSync();
          return this.#leaving.signal.aborted ? null : assignment;
        } catch (error) {
          if (this.#leaving.signal.aborted) break;
          const member = error instanceof KafkaError && error.kind === 'member';
          if (!member && !passes(error)) throw error;
          if (member && !STILL_KNOWN.has(error.number)) this.#memberId = '';
          this.#logger.debug({ event: 'join_repeated', group: this.#options.group, error: messageOf(error) });
          await systemClock.sleep(pauseMs(troubles++), this.#leaving.signal);
        }
      }
      return null;
    } finally {
      this.#joining = false;
    }
  }

  async #joinAndSync(): Promise<Assignment> {
    const joined = await this.#joinOnce();
    this.#generation = joined.generation;
    const mine = joined.leaderId === joined.memberId ? this.#assign(joined) : [];
    const { assignment } = await this.#coordinator.ask(
      syncGroup(this.#key(), mine, REBALANCE_TIMEOUT_MS),
      ({ error }) => error,
      `taking up tasks of group ${this.#options.group}`,
    );
    this.#held = { generation: joined.generation, tasks: decodeTasks(assignment) };
    return this.#held;
  }

  /** A new member gets its id first, so that it can leave the group while it waits for the others. */
  async #joinOnce(): Promise<JoinAnswer> {
    for (;;) {
      const request = joinGroup({
        group: this.#options.group,
        memberId: this.#memberId,
        sessionTimeoutMs: this.#options.sessionTimeoutMs ?? SESSION_TIMEOUT_MS,
        rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
        protocolType: PROTOCOL_TYPE,
        protocol: PROTOCOL,
        metadata: encodeSubscription(this.#topics, this.#held.generation, this.#held.tasks),
      });
      const what = `joining group ${this.#options.group}`;
      const joined = await this.#coordinator.ask(
        request,
        ({ error }) => (error === MEMBER_ID_REQUIRED ? 0 : error),
        what,
      );
      this.#memberId = joined.memberId;
      if (joined.error === 0) return joined;
    }
  }

  /** The leader's work: the tasks of all members. */
  #assign({ members }: JoinAnswer): { memberId: string; assignment: Buffer }[] {
    const claims = members.map(({ memberId, metadata }) => decodeClaim(memberId, metadata));
    return [...assignTasks(this.#options.tasks, claims)].map(([memberId, tasks]) => ({
      memberId,
      assignment: encodeAssignment(
        tasks.flatMap((task) => this.#options.partitionsOf(task)),
        tasks,
      ),
    }));
  }

  /** Saves the others the wait for the session timeout. On a shared connection: ours may be blocked by a join. */
  async #tellLeaving(): Promise<void> {
    if (this.#memberId === '') return;
    try {
      const { group } = this.#options;
      const coordinator = new Coordinator(this.#cluster, this.#cluster.control, 'group', group);
      await coordinator.ask(leaveGroup(group, this.#memberId), same, `leaving group ${group}`);
    } catch (error) {
      this.#logger.debug({ event: 'leave_failed', group: this.#options.group, error: messageOf(error) });
    }
  }

  #key(): MemberKey {
    return { group: this.#options.group, generation: this.#generation, memberId: this.#memberId };
  }
}

function same(answer: number): number {
  return answer;
}
