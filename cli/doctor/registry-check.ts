/** Is the schema registry reachable, and would it accept our schemas. */
import { openRegistry, subjectsOf } from '../../runtime/log/writing-codec.js';
import { incompatibilityOf } from '../../schemas/register.js';
import { allTopics } from '../../topics/all.js';
import type { Settings } from '../settings.js';
import { type Check, examine, fail, ok } from './check.js';

export async function checkRegistry(settings: Settings): Promise<readonly Check[]> {
  return await examine('registry', async () => {
    const registry = await openRegistry(settings);
    if (registry === null)
      return [ok('registry', 'None (SCHEMA_REGISTRY_URL is not set): records carry the fingerprint of their schema.')];
    const known = new Set(await registry.subjects());
    const subjects = subjectsOf(allTopics());
    const problems: Check[] = [];
    for (const subject of subjects) {
      const problem = known.has(subject.subject) ? await incompatibilityOf(registry, subject) : null;
      if (problem !== null) problems.push(fail('registry', problem));
    }
    if (problems.length > 0) return problems;
    const there = subjects.filter(({ subject }) => known.has(subject)).length;
    return [
      ok(
        'registry',
        `It answers; ${there} of ${subjects.length} subjects are registered, and our schemas are compatible.`,
      ),
    ];
  });
}
