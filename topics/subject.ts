/** The user or product to be erased, and the topics that contain it under its own id. */
import { events, products, users } from './events.js';
import type { FeatureSet } from './feature-set.js';

export type SubjectKind = 'user' | 'product';

export interface Subject {
  readonly kind: SubjectKind;
  readonly id: string;
}

/** The key of its request in topic `erasures`. */
export function subjectKey({ kind, id }: Subject): string {
  return `${kind}:${id}`;
}

/** The subject of a key that subjectKey made; null for any other key. */
export function parseSubject(key: string): Subject | null {
  const at = key.indexOf(':');
  const kind = key.slice(0, at);
  const id = key.slice(at + 1);
  return (kind === 'user' || kind === 'product') && id.length > 0 ? { kind, id } : null;
}

/** Producer topics that get a null value under the subject's id; its offset in the first one is the boundary. */
export function deletedIn(kind: SubjectKind): readonly [string, ...string[]] {
  return kind === 'user' ? [events.name, users.name] : [products.name];
}

/** Feature topics of one version that have the subject as a key. */
export function featuresOf(kind: SubjectKind, { topics }: FeatureSet): readonly string[] {
  const { affinity, interactions, popularity } = topics;
  return kind === 'user' ? [affinity.name, interactions.name] : [popularity.name];
}
