/** What the command `up` starts; loaded when needed, because the other commands start faster without all of it. */
import type { Compose } from './running.js';

export const composeUp: Compose = async (settings, options) => {
  const { Composition } = await import('./composition.js');
  return new Composition(settings, options);
};
