/** The role `serving`: HTTP and the page, for everything that is published. */
import { ErasureReader } from '../../publishing/erasure/erasure-reader.js';
import { erasureSettings } from '../../publishing/erasure/settings.js';
import { createFeatureReader } from '../../publishing/reading/reader.js';
import { pinnedBy } from '../../publishing/versions/pins.js';
import { createModels } from '../../serving/models/models.js';
import type { ServingOptions } from '../../serving/ports.js';
import { createServer, type Server } from '../../serving/server.js';
import type { OverviewSampler } from '../overview.js';
import type { StoreGround } from './ground.js';

interface ServingRole extends Pick<ServingOptions, 'versions' | 'runs' | 'audits' | 'isReady'> {
  readonly overview: OverviewSampler;
  /** The token that commands on this machine use when tokens are required. */
  readonly localToken: string | null;
}

export async function startServing(ground: StoreGround, role: ServingRole): Promise<Server> {
  const { stores, settings, clock, log, codec, sets } = ground;
  const { overview, localToken, ...behind } = role;
  const readers = createFeatureReader({
    ...stores,
    keyPrefix: settings.REDIS_KEY_PREFIX,
    clock,
    pinned: pinnedBy(settings),
  });
  const models = createModels({ ...ground, ...stores, readers });
  await ground.start(models);
  const server = await createServer({
    ...ground,
    ...behind,
    database: stores.database,
    readers,
    models: models.answers,
    erasures: new ErasureReader({ log, codec, clock, ...stores, ...erasureSettings(settings), sets: sets.features }),
    overview: () => overview.current(),
    overviewHistory: () => overview.history(),
    ...(localToken === null ? {} : { localToken }),
  });
  await ground.start(server);
  return server;
}
