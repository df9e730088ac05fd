/** Kills at named steps, one at a time. */
import { Random } from '../../support/random.js';
import type { FaultPoint } from './fault-points.js';
import type { FaultPlan } from './plan.js';
import { seed } from './report.js';
import type { Scene } from './scene.js';

/** Members of these tests own every task without a group: a restart need not wait for a session to expire. */
export const ALONE: NonNullable<FaultPlan['pinned']> = { tasks: null, confirmed: true };

/**
 * Starts a member and kills it at a step, for each of the steps, in the tasks that read events and in those after the
 * hop, at one of its first `passingMax` passings. `name`: of the member's data folder. Returns the number of kills.
 */
export async function killAtEach(
  scene: Scene,
  points: readonly FaultPoint[],
  passingMax: number,
  name?: () => string,
): Promise<number> {
  const random = new Random(seed);
  let kills = 0;
  for (const where of ['activity', 'popularity']) {
    for (const point of points) {
      const passing = 1 + random.below(passingMax);
      const plan = { steps: [{ point, where, passing, does: 'kill' } as const], pinned: ALONE };
      const member = scene.start({ plan, ...(name && { name: name() }) });
      await member.faultMet();
      await member.end();
      kills++;
    }
  }
  return kills;
}
