/** Nested lifetimes: a reader's connections end with the reader, the reader with its log. */
import { setMaxListeners } from 'node:events';

/** Ends with its parent or before it, and then leaves nothing in the parent. Null: no parent. */
export function lifetimeWithin(parent: AbortSignal | null): AbortController {
  const child = new AbortController();
  // One listener for everything inside: a large number is no leak here.
  setMaxListeners(0, child.signal);
  if (parent === null) return child;
  if (parent.aborted) {
    child.abort();
    return child;
  }
  const end = () => child.abort();
  parent.addEventListener('abort', end, { once: true });
  child.signal.addEventListener('abort', () => parent.removeEventListener('abort', end), { once: true });
  return child;
}
