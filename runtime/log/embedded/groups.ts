/**
 * Groups whose members are all in this process. A change of members is one round: every member gives up its tasks, then
 * each gets its share: equal parts, keeping its earlier tasks where possible.
 */
import { asError, FreshetError, messageOf } from '../../process/errors.js';
import type { Logger } from '../../process/logger.js';
import type { Membership, MembershipOptions, TopicPartition } from '../log.js';
import { SerialQueue } from './queue.js';
import type { ShownOffsets } from './shown-offsets.js';

interface Member {
  readonly options: MembershipOptions;
  /** Generation of the member's assignment; -1 while it has none. */
  generation: number;
  tasks: readonly number[];
  left: boolean;
}

class Group {
  readonly name: string;
  readonly tasks: number;
  readonly #rounds = new SerialQueue();
  readonly #logger: Logger;
  #members: Member[] = [];
  #generation = 0;
  /** Members have joined or left since the last round. */
  #changed = false;

  constructor(name: string, tasks: number, logger: Logger) {
    this.name = name;
    this.tasks = tasks;
    this.#logger = logger;
  }

  get empty(): boolean {
    return this.#members.length === 0;
  }

  join(member: Member): void {
    this.#members.push(member);
    this.#requestRound();
  }

  /** Changes that arrive during a round share the next one. */
  #requestRound(): void {
    this.#changed = true;
    void this.#rounds.run(() => this.#round());
  }

  async leave(member: Member): Promise<void> {
    if (member.left) return this.#rounds.idle();
    member.left = true;
    await this.#rounds.run(async () => {
      await this.#revoke(member);
      this.#members = this.#members.filter((other) => other !== member);
    });
    if (!this.empty) this.#requestRound();
  }

  /** True if no change is pending and the member still has the assignment it had at the call. */
  async confirms(member: Member): Promise<boolean> {
    const { generation } = member;
    await new Promise((resolve) => setImmediate(resolve));
    return !member.left && generation !== -1 && member.generation === generation;
  }

  async #round(): Promise<void> {
    if (!this.#changed) return;
    this.#changed = false;
    const before = new Map(this.#members.map((member) => [member, member.tasks]));
    await Promise.all(this.#members.map((member) => this.#revoke(member)));
    const members = this.#members.filter((member) => !member.left);
    if (members.length === 0) return;
    this.#generation++;
    const shares = share(
      this.tasks,
      members.map((member) => before.get(member) ?? []),
    );
    for (const [i, member] of members.entries()) {
      member.generation = this.#generation;
      member.tasks = shares[i]!;
    }
    await Promise.all(
      members.map(async (member) => {
        try {
          await member.options.onAssigned({ generation: member.generation, tasks: member.tasks });
        } catch (error) {
          this.#fail(member, error);
        }
      }),
    );
  }

  async #revoke(member: Member): Promise<void> {
    if (member.generation === -1) return;
    member.generation = -1;
    try {
      await member.options.onRevoked();
    } catch (error) {
      this.#fail(member, error);
    }
  }

  /** A member that cannot take or give up its tasks is removed; the others get its tasks. */
  #fail(member: Member, error: unknown): void {
    if (member.left) {
      this.#logger.warn({ event: 'group_member_failed', group: this.name }, messageOf(error));
      return;
    }
    member.left = true;
    member.generation = -1;
    this.#members = this.#members.filter((other) => other !== member);
    member.options.onFailed(asError(error));
    if (!this.empty) this.#requestRound();
  }
}

/** Shares tasks 0 .. tasks-1 among members in equal parts (± 1); each keeps as many earlier tasks as fit. */
export function share(tasks: number, before: readonly (readonly number[])[]): number[][] {
  const least = Math.floor(tasks / before.length);
  let larger = tasks % before.length;
  const free = new Set(Array.from({ length: tasks }, (_, task) => task));
  const shares = before.map((had) => {
    const room = had.length > least && larger > 0 ? least + 1 : least;
    if (room > least) larger--;
    const kept = had.filter((task) => free.has(task)).slice(0, room);
    for (const task of kept) free.delete(task);
    return { kept, room };
  });
  const rest = [...free];
  return shares.map(({ kept, room }) => {
    const isLarger = room === least && larger > 0;
    if (isLarger) larger--;
    return [...kept, ...rest.splice(0, room + (isLarger ? 1 : 0) - kept.length)].sort((a, b) => a - b);
  });
}

export class Groups {
  readonly #groups = new Map<string, Group>();
  readonly #shown: ShownOffsets;
  readonly #logger: Logger;
  readonly #leave = new Set<() => Promise<void>>();

  constructor(shown: ShownOffsets, logger: Logger) {
    this.#shown = shown;
    this.#logger = logger;
  }

  join(options: MembershipOptions): Membership {
    let group = this.#groups.get(options.group);
    if (group === undefined || group.empty) {
      group = new Group(options.group, options.tasks, this.#logger);
      this.#groups.set(options.group, group);
    }
    if (group.tasks !== options.tasks)
      throw new FreshetError(
        'state',
        `group ${options.group} has ${group.tasks} tasks; a member that expects ${options.tasks} cannot join`,
      );
    const member: Member = { options, generation: -1, tasks: [], left: false };
    const joined = group;
    const leave = async () => {
      this.#leave.delete(leave);
      await joined.leave(member);
    };
    this.#leave.add(leave);
    joined.join(member);
    return {
      confirmed: () => joined.confirms(member),
      showOffsets: async (offsets: readonly (TopicPartition & { offset: number })[]) => {
        if (!member.left) this.#shown.set(options.group, offsets);
      },
      leave,
    };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#leave].map((leave) => leave()));
  }
}
