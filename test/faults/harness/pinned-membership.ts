/**
 * A membership without a group: it has its tasks from the start and keeps them. Sinks have all of theirs; for any
 * application other than the one under test there are none.
 */
import type { Membership, MembershipOptions } from '../../../runtime/log/log.js';
import { APPLICATION } from './member.js';
import type { FaultPlan } from './plan.js';

export class PinnedMembership implements Membership {
  readonly ended: Promise<void>;
  readonly #options: MembershipOptions;
  readonly #confirmed: boolean;
  #end: () => void = () => undefined;

  constructor(options: MembershipOptions, { tasks, confirmed }: NonNullable<FaultPlan['pinned']>) {
    this.#options = options;
    this.#confirmed = confirmed;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    const all = Array.from({ length: options.tasks }, (_, task) => task);
    const pinned = options.group === APPLICATION ? (tasks ?? all) : [];
    const wanted = options.group.endsWith('-sink') ? all : pinned;
    // As in a group, tasks are assigned after the join was answered.
    setImmediate(() => {
      options.onAssigned({ generation: 1, tasks: wanted }).catch(options.onFailed);
    });
  }

  async confirmed(): Promise<boolean> {
    return this.#confirmed;
  }

  async showOffsets(): Promise<void> {
    // Not displayed.
  }

  async leave(): Promise<void> {
    await this.#options.onRevoked();
    this.#end();
  }
}
