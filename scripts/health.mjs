#!/usr/bin/env node
/** A container's health check: exits with 0 when the Freshet in this container is ready, else prints the reasons. */
import { fail } from './prepare.mjs';

const { PORT, METRICS_PORT } = process.env;
// The role serving listens at PORT, every other one at METRICS_PORT.
const ports = [PORT || '8080', ...(/^[1-9]\d*$/.test(METRICS_PORT ?? '') ? [METRICS_PORT] : [])];
const problems = [];
for (const port of ports) {
  const address = `http://127.0.0.1:${port}`;
  try {
    const response = await fetch(`${address}/health/ready`, { signal: AbortSignal.timeout(4_000) });
    if (!response.ok) fail(await response.text());
    process.exit(0);
  } catch (error) {
    problems.push(`${address} does not answer: ${error.message}`);
  }
}
fail(problems.join('\n'));
