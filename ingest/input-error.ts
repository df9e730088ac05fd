/** A problem with one record of a request, as a sentence for the sender. */
export class InputError extends Error {
  constructor(sentence: string) {
    super(sentence);
    this.name = 'InputError';
  }
}

/** The text of a wrong value: shortened, so that an answer stays small. */
export function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  const text = JSON.stringify(value) ?? String(value);
  return `it is ${text.length > 60 ? `${text.slice(0, 57)}…` : text}`;
}
