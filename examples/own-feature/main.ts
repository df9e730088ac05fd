/** Runs the feature until it is stopped. Start as many processes as you like: they share the tasks. */
import { createApplication } from 'freshet-pipeline';
import { lastCategory } from './last-category.js';

const application = createApplication({ name: 'last-category.v1', features: [lastCategory] });
await application.start();
console.log('running');
const stopped = new Promise<null>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => resolve(null));
});
const failure = await Promise.race([stopped, application.failed]);
await application.stop();
if (failure !== null) throw failure;
