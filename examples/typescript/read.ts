/** Prints the popular products from Redis, then every change of popularity from Kafka as it arrives. */
import { createReader } from 'freshet-pipeline';

const reader = createReader();
const { version, items } = await reader.getPopular({ limit: 5 });
console.log(`popularity.v${version}:`, items);
console.log('affinity of u-42:', (await reader.getAffinity('u-42'))?.scores);

const most = Number(process.argv[2] ?? Number.POSITIVE_INFINITY);
let seen = 0;
for await (const { key, value, version } of reader.changes('popularity')) {
  console.log(`v${version} ${key}: ${value === null ? 'gone' : value.score}`);
  if (++seen >= most) break;
}
await reader.close();
