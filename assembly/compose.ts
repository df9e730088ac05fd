/** What the command `up` starts. Loaded on demand, so that the other commands start faster. */
import type { Compose } from './running.js';

export const composeUp: Compose = async (settings, options) => {
  const { Composition } = await import('./composition.js');
  return new Composition(settings, options);
};
