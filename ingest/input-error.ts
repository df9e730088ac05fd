/** What is wrong with one record of a request, in a sentence for whoever sent it. */
export class InputError extends Error {
  constructor(sentence: string) {
    super(sentence);
    this.name = 'InputError';
  }
}

/** How a wrong value is shown: shortened, so that an answer stays small. */
export function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  const text = JSON.stringify(value) ?? String(value);
  return `it is ${text.length > 60 ? `${text.slice(0, 57)}…` : text}`;
}
