/** JSON lines with timestamp, level as text and a named event (section 10 of the operators' guide); secrets redacted. */
import { pino } from 'pino';

export type Logger = pino.Logger;

/**
 * A logger that writes to standard error, so that commands can use standard output for their results. `secrets`: names of
 * settings whose values are never written.
 */
export function createLogger(level: string, secrets: readonly string[] = []): Logger {
  return pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label.toUpperCase() }) },
      redact: ['password', 'authorization', ...secrets].flatMap((name) => [name, `*.${name}`]),
    },
    pino.destination({ dest: 2, sync: true }),
  );
}

export const silentLogger: Logger = pino({ level: 'silent' });
