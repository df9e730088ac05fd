/** The kinds of values that settings have. A value is text; the error of a kind says what is expected. */
import { resolve } from 'node:path';
import { z } from 'zod';

/** Plain decimals only: what JavaScript also accepts as a number (0x10, blanks, 1e3) is a typing error here. */
const decimal = z
  .string()
  .regex(/^-?\d+(\.\d+)?$/, 'a number')
  .transform(Number);

/** `min` and `max` are allowed. */
export const number = (min: number, max: number) => decimal.pipe(z.number().min(min).max(max));

export const integer = (min: number, max: number) => decimal.pipe(z.number().int().min(min).max(max));

export const flag = z.enum(['true', 'false']).transform((value) => value === 'true');

export const url = (schemes: readonly string[]) =>
  z.url({
    protocol: new RegExp(`^(${schemes.join('|')})$`),
    error: `a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
  });

/** A relative path is relative to the working directory. */
export const folder = z.string().transform((path) => resolve(path));
