/** Sends the demo shop's live traffic to the log, a tenth of a second's worth at a time. */
import type { Log, LogWriter } from '../../runtime/log/log.js';
import { type Clock, systemClock } from '../../runtime/process/clock.js';
import { messageOf } from '../../runtime/process/errors.js';
import type { Logger } from '../../runtime/process/logger.js';
import type { Service } from '../../runtime/process/service.js';
import type { Codec } from '../../schemas/codec.js';
import type { Event } from '../../schemas/records.js';
import { events } from '../../topics/events.js';
import type { Shop } from './shop.js';
import { traffic } from './traffic.js';

interface TrafficOptions {
  readonly log: Log;
  readonly codec: Codec;
  readonly shop: Shop;
  /** Events per second on average; 0 sends nothing. */
  readonly ratePerSecond: number;
  readonly logger: Logger;
  readonly clock?: Clock;
}

const INTERVAL_MS = 100;
const PAUSE_MS_MAX = 5_000;
const STOP_MS_MAX = 1_000;

/** Traffic from start() to stop(). If the log fails, the same events are sent again: their ids count once. */
export function startTraffic({
  log,
  codec,
  shop,
  ratePerSecond,
  logger,
  clock = systemClock,
}: TrafficOptions): Service {
  const stopping = new AbortController();
  let writer: LogWriter | null = null;
  let running = Promise.resolve();

  async function run(to: LogWriter): Promise<void> {
    const source = traffic(shop, clock.now());
    let failures = 0;
    let unsent: Event[] = [];
    while (!stopping.signal.aborted) {
      await clock.sleep(Math.min(PAUSE_MS_MAX, INTERVAL_MS * 2 ** failures), stopping.signal);
      if (unsent.length === 0) unsent = source.next(clock.now(), ratePerSecond);
      if (unsent.length === 0) continue;
      try {
        for (const event of unsent) to.add(events.name, Buffer.from(event.user_id), codec.encode('Event', event));
        await to.flush();
        unsent = [];
        if (failures > 0) logger.info({ event: 'demo_traffic_resumed', failures }, 'demo traffic has resumed');
        failures = 0;
      } catch (error) {
        if (failures === 0 && !stopping.signal.aborted)
          logger.warn(
            { event: 'demo_traffic_held', reason: messageOf(error) },
            'the log does not accept demo traffic; retrying',
          );
        failures++;
      }
    }
  }

  return {
    name: 'demo traffic',
    async start() {
      if (writer !== null || stopping.signal.aborted || ratePerSecond === 0) return;
      writer = await log.writer([events.name]);
      running = run(writer);
    },
    async stop() {
      stopping.abort();
      // Give work in progress a moment; closing the writer then ends a flush that hangs on an unreachable log.
      await Promise.race([running, clock.sleep(STOP_MS_MAX)]);
      await writer?.close();
      await running;
    },
  };
}
