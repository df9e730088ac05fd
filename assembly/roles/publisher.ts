/** The role `publisher`: writes feature topics into the stores. */
import { createPublisher, type Publisher } from '../../publishing/live/publisher.js';
import type { StoreGround } from './ground.js';

export async function startPublisher(ground: StoreGround): Promise<Publisher> {
  const publisher = createPublisher({ ...ground, ...ground.stores, sets: ground.sets.features });
  await ground.start(publisher);
  return publisher;
}
