/** How artefacts differ as versions: how long a version is kept that is not current, and who fills it. */
import { HOUR_MS } from '../../topics/time.js';
import type { Artefact } from '../layout.js';

interface Policy {
  /** How long a version is kept after it was retired, ms. */
  readonly keptMs: number;
  /** Filled continuously by sinks, not built once: never published as a folder, never staged. */
  readonly live: boolean;
}

const WEEK: Policy = { keptMs: 7 * 24 * HOUR_MS, live: false };
const DAY: Policy = { keptMs: 24 * HOUR_MS, live: false };

const POLICIES: Readonly<Record<Artefact, Policy>> = {
  popularity: { ...WEEK, live: true },
  affinity: { ...WEEK, live: true },
  interactions: { ...WEEK, live: true },
  stopwords: WEEK,
  faiss: DAY,
  als: DAY,
};

export function policyOf(artefact: Artefact): Policy {
  return POLICIES[artefact];
}
