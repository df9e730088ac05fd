/** The server of a process without the role serving: health and metrics, behind the same gate. */
import type { Logger } from '../runtime/process/logger.js';
import type { Metrics } from '../runtime/process/metrics.js';
import { loadTokens } from './access/tokens.js';
import { buildFrame } from './frame.js';
import type { Readiness } from './ports.js';
import { addHealthRoutes } from './routes/health.js';
import { SHAPES } from './routes/shapes.js';
import { type Server, serverOf } from './server.js';
import type { HttpSettings } from './settings.js';

interface ProbeOptions {
  readonly settings: HttpSettings;
  /** 0: any free port. */
  readonly port: number;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly isReady: () => Readiness;
  /** The token that commands on this machine use when tokens are required. */
  readonly localToken?: string;
}

/** Not yet listening. Throws FreshetError('settings') for invalid tokens, or none although HOST is reachable. */
export async function createProbes(options: ProbeOptions): Promise<Server> {
  const { settings, port, metrics, isReady } = options;
  const tokens = loadTokens(settings, options.localToken);
  const stopping = new AbortController();
  const routes = 'this process answers /health/live, /health/ready and /metrics';
  const app = await buildFrame({ ...options, tokens, stopping: stopping.signal, routes });
  for (const shape of SHAPES) app.addSchema(shape);
  addHealthRoutes(app, { isReady, metrics, needsTokens: tokens !== null });
  await app.ready();
  return serverOf('health and metrics', app, { host: settings.HOST, port, setting: 'METRICS_PORT' }, stopping);
}
