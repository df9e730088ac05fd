/** A kind of document: its language and its source, as a small number. Everything is counted per kind. */
import { Interner } from '../../runtime/tasks/state/interner.js';
import { OTHER_SOURCE } from './terms-record.js';

const SLASH = 0x2f;
/**
 * Sources of a language that a task distinguishes; the documents of further ones count as those of `other`. Sooner or
 * later someone's source will be a URL, and the counts of a term by source are one record: twelve tasks of 128 sources
 * with the longest possible names still fit in.
 */
export const TASK_SOURCES_MAX = 128;

export class Kinds {
  /** `<language>/<source>`; no language has a slash. */
  readonly #names = new Interner(64);
  readonly #languages = new Interner(64);
  readonly #languageOf: number[] = [];
  readonly #sourceOf: string[] = [];
  readonly #languageNames: string[] = [];
  /** Per language. */
  readonly #sources: number[] = [];

  get count(): number {
    return this.#names.count;
  }

  /** The kind of a document named name[0..length), or that of its language's other sources; may overwrite the name. */
  choose(name: Buffer, length: number): number {
    const known = this.#names.find(name, 0, length);
    if (known >= 0) return known;
    const slash = name.indexOf(SLASH);
    const language = this.#languages.find(name, 0, slash);
    if (language < 0 || this.#sources[language]! < TASK_SOURCES_MAX) return this.intern(name, length);
    return this.intern(name, slash + 1 + name.write(OTHER_SOURCE, slash + 1));
  }

  /** The kind named name[0..length), `<language>/<source>`, however many there are. */
  intern(name: Buffer, length: number): number {
    const kind = this.#names.intern(name, 0, length);
    if (kind === this.#languageOf.length) {
      const slash = name.indexOf(SLASH);
      const language = this.#languages.intern(name, 0, slash);
      this.#languageOf.push(language);
      this.#sources[language] = (this.#sources[language] ?? 0) + 1;
      this.#languageNames[language] = this.#languages.stringOf(language);
      this.#sourceOf.push(name.toString('utf8', slash + 1, length));
    }
    return kind;
  }

  /** The number of the kind's language. */
  languageOf(kind: number): number {
    return this.#languageOf[kind]!;
  }

  languageName(language: number): string {
    return this.#languageNames[language]!;
  }

  sourceOf(kind: number): string {
    return this.#sourceOf[kind]!;
  }
}
