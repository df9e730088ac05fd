/** Writes a product and a few events. KAFKA_BROKERS and the other settings say where, as for Freshet itself. */
import { randomUUID } from 'node:crypto';
import { createProducer } from 'freshet-pipeline';

const producer = await createProducer();
await producer.send('products', { product_id: 'lamp-1', title: 'Lamp', description: 'A lamp.', category: 'home' });
const events = ['view', 'add_to_cart', 'purchase'] as const;
const sent = await producer.sendAll(
  'events',
  events.map((event_type) => ({
    event_id: randomUUID(),
    user_id: 'u-42',
    product_id: 'lamp-1',
    event_type,
    ts: new Date(),
  })),
);
await producer.close();
console.log(`${sent} events are in the log`);
