/** Texts as token ids, cut to the model's limit here, because the library has no length limit. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { FreshetError, messageOf } from '../../process/errors.js';
import { type ModelFiles, readJson } from './model-files.js';

/** No token stands for this many characters; text beyond this limit is ignored. */
const CHARACTERS_PER_TOKEN_MAX = 64;

export class Tokens {
  readonly #tokenizer: Tokenizer;
  readonly #max: number;
  /** The tokens that the tokenizer appends to a text ([SEP]); they stay when the text is cut. */
  readonly #suffix: readonly number[];

  constructor(tokenizer: Tokenizer, max: number) {
    this.#tokenizer = tokenizer;
    this.#max = max;
    const empty = tokenizer.encode('').ids;
    const some = tokenizer.encode('a').ids;
    let before = 0;
    while (before < empty.length && empty[before] === some[before]) before++;
    this.#suffix = empty.slice(before);
  }

  /** Throws FreshetError('invalid_data') when tokenizer.json is damaged or of a kind unknown to the library. */
  static async open({ tokenizer, tokensMax }: ModelFiles): Promise<Tokens> {
    const settings = join(dirname(tokenizer), 'tokenizer_config.json');
    const [json, config] = [await readJson(tokenizer), existsSync(settings) ? await readJson(settings) : {}];
    try {
      return new Tokens(new Tokenizer(json as object, config as object), tokensMax);
    } catch (error) {
      throw new FreshetError('invalid_data', `${tokenizer} is not a readable tokenizer: ${messageOf(error)}`);
    }
  }

  /** At least one id, at most the model's limit. */
  of(text: string): number[] {
    const { ids } = this.#tokenizer.encode(text.slice(0, this.#max * CHARACTERS_PER_TOKEN_MAX));
    if (ids.length <= this.#max) return ids;
    return [...ids.slice(0, this.#max - this.#suffix.length), ...this.#suffix];
  }
}
