/** A lifetime inside another: it ends with its parent's, or before. Nothing of it stays with the parent then. */
export function lifetimeWithin(parent: AbortSignal): AbortController {
  const child = new AbortController();
  if (parent.aborted) {
    child.abort();
    return child;
  }
  const end = () => child.abort();
  parent.addEventListener('abort', end, { once: true });
  child.signal.addEventListener('abort', () => parent.removeEventListener('abort', end), { once: true });
  return child;
}
