#!/usr/bin/env node
/** A container's health check: exits with 0 when the Freshet in this container is ready, else prints the reasons. */
import { fail } from './prepare.mjs';

const address = `http://127.0.0.1:${process.env.PORT || 8080}`;
try {
  const response = await fetch(`${address}/health/ready`, { signal: AbortSignal.timeout(4_000) });
  if (!response.ok) fail(await response.text());
} catch (error) {
  fail(`${address} does not answer: ${error.message}`);
}
