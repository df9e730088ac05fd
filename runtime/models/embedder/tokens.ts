/** Texts as token ids, cut to what the model takes. The library knows no limits of length, so the cut is made here. */

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { FreshetError, messageOf } from '../../process/errors.js';
import { type ModelFiles, readJson } from './model-files.js';

/** A token stands for far fewer characters than this; what lies beyond is not even looked at. */
const CHARACTERS_PER_TOKEN_MAX = 64;

export class Tokens {
  readonly #tokenizer: Tokenizer;
  readonly #max: number;
  /** What the tokenizer puts behind a text ([SEP]); it stays when the text is cut. */
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

  /** Throws FreshetError('invalid_data') when tokenizer.json is damaged or of a kind the library does not know. */
  static async open({ tokenizer, tokensMax }: ModelFiles): Promise<Tokens> {
    const settings = join(dirname(tokenizer), 'tokenizer_config.json');
    const [json, config] = [await readJson(tokenizer), existsSync(settings) ? await readJson(settings) : {}];
    try {
      return new Tokens(new Tokenizer(json as object, config as object), tokensMax);
    } catch (error) {
      throw new FreshetError('invalid_data', `${tokenizer} is no tokenizer that can be read: ${messageOf(error)}`);
    }
  }

  /** At least one id, at most as many as the model takes. */
  of(text: string): number[] {
    const { ids } = this.#tokenizer.encode(text.slice(0, this.#max * CHARACTERS_PER_TOKEN_MAX));
    if (ids.length <= this.#max) return ids;
    return [...ids.slice(0, this.#max - this.#suffix.length), ...this.#suffix];
  }
}
