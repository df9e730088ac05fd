/** The log lines of the code under test, kept as objects. */
import { pino } from 'pino';
import type { Logger } from '../../runtime/process/logger.js';

export interface Said {
  readonly event?: string;
  readonly [field: string]: unknown;
}

export function listener(said: Said[]): Logger {
  return pino({ level: 'info', base: null }, { write: (line: string) => said.push(JSON.parse(line) as Said) });
}
