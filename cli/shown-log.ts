/** Log lines as a person at a terminal reads them: one line, the local time, colours. */
import { prettyFactory } from 'pino-pretty';

/** Turns a line of JSON into one for the eye. */
export function shownLog(colorize: boolean): (line: string) => string {
  return prettyFactory({
    colorize,
    messageKey: 'message',
    timestampKey: 'timestamp',
    translateTime: 'SYS:HH:MM:ss',
    singleLine: true,
  });
}
