/** One finding of the doctor. */
import { messageOf } from '../../runtime/process/errors.js';

export interface Check {
  readonly name: string;
  readonly status: 'ok' | 'warn' | 'fail';
  /** What was found and, if action is needed, what to do. */
  readonly sentence: string;
}

export const ok = (name: string, sentence: string): Check => ({ name, status: 'ok', sentence });
export const warn = (name: string, sentence: string): Check => ({ name, status: 'warn', sentence });
export const fail = (name: string, sentence: string): Check => ({ name, status: 'fail', sentence });

/** A check that throws is a finding too: one broken connection must not hide the others. */
export async function examine(name: string, look: () => Promise<readonly Check[]>): Promise<readonly Check[]> {
  try {
    return await look();
  } catch (error) {
    return [fail(name, messageOf(error))];
  }
}
