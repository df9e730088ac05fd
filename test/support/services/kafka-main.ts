/**
 * Starts a broker in the foreground and prints KAFKA_BROKERS=… once ready, for users and scripts. Ends with Ctrl-C or
 * TERM.
 */
import { startKafka } from './kafka.js';

const kafka = await startKafka();
process.stdout.write(`KAFKA_BROKERS=${kafka.brokers}\n`);

const keepAlive = setInterval(() => undefined, 60_000);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    clearInterval(keepAlive);
    await kafka.stop();
    process.exit(0);
  });
}
