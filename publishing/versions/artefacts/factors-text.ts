/**
 * Factors of one user as the online store holds them: base64 of float32, little endian. Exact, half as long as numbers
 * in text (342 characters for 64 factors), and decoded in one step by every reader:
 * `numpy.frombuffer(base64.b64decode(text), '<f4')`.
 */
import { FreshetError } from '../../../runtime/process/errors.js';

const BYTES = 4;

export function factorsText(factors: Float32Array): string {
  const bytes = Buffer.allocUnsafe(factors.length * BYTES);
  for (let i = 0; i < factors.length; i++) bytes.writeFloatLE(factors[i]!, i * BYTES);
  return bytes.toString('base64');
}

/** Errors: FreshetError 'invalid_data' if the text is not of this form. */
export function factorsOfText(text: string): Float32Array {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length === 0 || bytes.length % BYTES !== 0)
    throw new FreshetError('invalid_data', `${JSON.stringify(text.slice(0, 40))} is not a base64 text of factors.`);
  const factors = new Float32Array(bytes.length / BYTES);
  for (let i = 0; i < factors.length; i++) factors[i] = bytes.readFloatLE(i * BYTES);
  return factors;
}
