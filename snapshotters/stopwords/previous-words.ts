/**
 * The words of the current version, read language by language alongside those of a new build: both files are in order
 * of language. A missing or damaged file ends the comparison and nothing else.
 */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { type LanguageWords, WORDS_FILE, wordsOfLines } from '../../publishing/versions/artefacts/words.js';
import { FreshetError, messageOf } from '../../runtime/process/errors.js';
import type { BuildContext } from '../snapshotter.js';
import type { Basis } from './checks.js';

/** The parts of a previous manifest that are used; parts that do not match this shape are ignored. */
const formerFigures = z.object({
  languages: z.record(z.string(), z.object({ documents: z.number(), sources: z.number() })),
});

export class PreviousWords {
  readonly #previous: NonNullable<BuildContext['previous']>;
  readonly #words: AsyncGenerator<LanguageWords>;
  readonly #bases: Readonly<Record<string, Basis>>;
  readonly #lost: string[] = [];
  #ahead: LanguageWords | null = null;
  #damage: string | null = null;

  constructor(previous: NonNullable<BuildContext['previous']>) {
    this.#previous = previous;
    this.#words = this.#read();
    const figures = formerFigures.safeParse(previous.manifest.figures);
    this.#bases = figures.success ? figures.data.languages : {};
  }

  get version(): number {
    return this.#previous.version;
  }

  /** What is wrong with the file, as far as it was read; null if nothing. */
  get damage(): string | null {
    return this.#damage;
  }

  /** Languages that were skipped: the new build lacks them. */
  get lost(): readonly string[] {
    return this.#lost;
  }

  /** The size of the language's input then; null if unknown. */
  basisOf(language: string): Basis | null {
    return Object.hasOwn(this.#bases, language) ? this.#bases[language]! : null;
  }

  /** The previous words of a language; null if it had none. Languages must be requested in order. */
  async take(language: string): Promise<LanguageWords | null> {
    for (;;) {
      this.#ahead ??= await this.#next();
      if (this.#ahead === null || this.#ahead.language > language) return null;
      const found = this.#ahead;
      this.#ahead = null;
      if (found.language === language) return found;
      this.#lost.push(found.language);
    }
  }

  async close(): Promise<void> {
    await this.#words.return(undefined);
  }

  /** Skips the rest. */
  async end(): Promise<void> {
    for (let rest = this.#ahead ?? (await this.#next()); rest !== null; rest = await this.#next())
      this.#lost.push(rest.language);
    this.#ahead = null;
  }

  async #next(): Promise<LanguageWords | null> {
    if (this.#damage !== null) return null;
    try {
      const { value, done } = await this.#words.next();
      if (done) return null;
      return value;
    } catch (error) {
      this.#damage = messageOf(error);
      return null;
    }
  }

  async *#read(): AsyncGenerator<LanguageWords> {
    const { folder, manifest } = this.#previous;
    const path = join(folder, WORDS_FILE);
    const mark = manifest.files.find(({ name }) => name === WORDS_FILE);
    const { size } = await stat(path);
    if (size !== mark?.bytes)
      throw new FreshetError('invalid_data', `${WORDS_FILE} has ${size} bytes, but its manifest says ${mark?.bytes}`);
    yield* wordsOfLines(linesOf(path));
  }
}

async function* linesOf(path: string): AsyncGenerator<readonly string[]> {
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY }))
    yield [line];
}
