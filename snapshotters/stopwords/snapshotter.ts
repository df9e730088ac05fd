/**
 * Stopwords from the topic `terms`: for each language with enough documents a list of words with a confidence, written
 * language by language to stopwords.jsonl, never all in memory. The same captured records give the same bytes.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { UNKNOWN_LANGUAGE } from '../../processors/corpus/language.js';
import { type CorpusSettings, corpusSettings } from '../../processors/corpus/settings.js';
import { WORDS_FILE, type Word } from '../../publishing/versions/artefacts/words.js';
import { FreshetError } from '../../runtime/process/errors.js';
import { counted, thousands } from '../counted.js';
import type { BuildContext, BuildReport, Snapshotter } from '../snapshotter.js';
import { candidatesMax, candidatesPerShard } from './candidates.js';
import {
  type CheckedList,
  type ComparedList,
  checkChanges,
  checkedList,
  checkLists,
  checkRecords,
  WORDS_MIN,
} from './checks.js';
import { compare } from './comparison.js';
import { confidences, documentFrequency, inverseDocumentFrequency } from './confidence.js';
import { figuresOf, type LanguageFigures } from './figures.js';
import { type LanguageCandidates, languageCandidates } from './language-terms.js';
import { PreviousWords } from './previous-words.js';
import { type StopwordSettings, stopwordSettings } from './settings.js';
import { type LeftOut, summaryOf } from './summary.js';
import { LANGUAGES_MAX, TermsCapture } from './terms-capture.js';

const TOPIC = 'terms';
/** Share of a snapshot's memory: saving a capture doubles it briefly, and a language must be decoded. */
const CAPTURE_SHARE = 1 / 4;
const MIB = 2 ** 20;
/** Basis of a list that is new. */
const NO_BASIS = { documents: 0, sources: 0 };

type OwnSettings = StopwordSettings & CorpusSettings;

export const snapshotter: Snapshotter<TermsCapture, readonly [typeof stopwordSettings, typeof corpusSettings]> = {
  name: 'stopwords',
  artefact: 'stopwords',
  topics: [TOPIC],
  settings: [stopwordSettings, corpusSettings],

  createCapture(codec, settings) {
    return new TermsCapture(codec, {
      termsPerShard: candidatesPerShard(candidatesMax(settings.STOPWORDS_WORDS_MAX)),
      bytes: CAPTURE_SHARE * settings.SNAPSHOT_MEMORY_MB * MIB,
      languages: LANGUAGES_MAX,
    });
  },

  async build(capture, context) {
    const languages = capture.languages;
    if (languages.length === 0) throw nothingCaptured(context.settings);
    const building = new Building(capture, context);
    const file = await open(join(context.folder, WORDS_FILE), 'wx');
    try {
      for (const [done, language] of languages.entries()) {
        context.progress('build', done, languages.length);
        const lines = await building.language(language);
        if (lines !== '') await file.writeFile(lines);
      }
      context.progress('build', languages.length, languages.length);
      return await building.finish();
    } finally {
      await building.close();
      await file.close();
    }
  },
};

/** By descending confidence, ties by name. */
function wordsOf(candidates: LanguageCandidates, settings: StopwordSettings): Word[] {
  const width = candidates.sources.length;
  const words: Word[] = [];
  for (const [term, confidence] of confidences(candidates).entries()) {
    if (confidence < settings.STOPWORDS_CONFIDENCE_MIN || confidence === 0) continue;
    // A term may have been counted a moment later than the documents.
    const frequency = Math.min(candidates.count, documentFrequency(candidates.documents, width, term));
    words.push({
      word: candidates.terms[term]!,
      confidence,
      idf: inverseDocumentFrequency(candidates.count, frequency),
      document_frequency: frequency,
    });
  }
  words.sort((a, b) => b.confidence - a.confidence || (a.word < b.word ? -1 : 1));
  return words.slice(0, settings.STOPWORDS_WORDS_MAX);
}

/** One build in progress. */
class Building {
  readonly #capture: TermsCapture;
  readonly #context: BuildContext<OwnSettings>;
  readonly #previous: PreviousWords | null;
  readonly #figures: Record<string, LanguageFigures> = {};
  readonly #lists: CheckedList[] = [];
  readonly #compared: ComparedList[] = [];
  readonly #leftOut: LeftOut[] = [];
  #documents = 0;
  #candidates = 0;
  #candidateLanguages = 0;

  constructor(capture: TermsCapture, context: BuildContext<OwnSettings>) {
    this.#capture = capture;
    this.#context = context;
    this.#previous = context.previous === null ? null : new PreviousWords(context.previous);
  }

  /** The lines of a language; empty if it is left out. Languages arrive in order. */
  async language(language: string): Promise<string> {
    const { settings } = this.#context;
    const found = languageCandidates(this.#capture.shards(language), candidatesMax(settings.STOPWORDS_WORDS_MAX));
    this.#documents += found.count;
    if (language === UNKNOWN_LANGUAGE) return this.#leave(language, found.count, 'their language is not known');
    if (found.count < settings.STOPWORDS_DOCUMENTS_MIN)
      return this.#leave(language, found.count, `${thousands(settings.STOPWORDS_DOCUMENTS_MIN)} are required`);
    this.#candidates += found.terms.length;
    this.#candidateLanguages++;
    const words = wordsOf(found, settings);
    if (words.length < WORDS_MIN)
      return this.#leave(language, found.count, `${counted(words.length, 'word')} found, ${WORDS_MIN} are required`);
    const basis = { documents: found.count, sources: found.sources.length };
    this.#figures[language] = figuresOf(words, { ...basis, candidates: found.terms.length });
    this.#lists.push(checkedList(language, found.count, words));
    const before = (await this.#previous?.take(language)) ?? { language, words: [] };
    const basisBefore = before.words.length === 0 ? NO_BASIS : this.#previous!.basisOf(language);
    this.#compared.push({ ...compare(before, { language, words }), basis, basisBefore });
    return words.map((word) => `${JSON.stringify({ language, ...word })}\n`).join('');
  }

  async finish(): Promise<BuildReport> {
    const { settings } = this.#context;
    for (const [language, documents] of this.#capture.dropped) {
      this.#documents += documents;
      this.#leave(language, documents, `the limit of memory or of ${thousands(LANGUAGES_MAX)} languages was reached`);
    }
    if (this.#lists.length === 0) throw nothingToPublish(this.#leftOut, settings);
    const previous = await this.#finishPrevious();
    const words = this.#lists.reduce((sum, list) => sum + list.words, 0);
    return {
      files: [WORDS_FILE],
      settings: {
        STOPWORDS_WORDS_MAX: settings.STOPWORDS_WORDS_MAX,
        STOPWORDS_CONFIDENCE_MIN: settings.STOPWORDS_CONFIDENCE_MIN,
        STOPWORDS_DOCUMENTS_MIN: settings.STOPWORDS_DOCUMENTS_MIN,
        STOPWORDS_CHANGE_ALLOWED: settings.STOPWORDS_CHANGE_ALLOWED,
      },
      counts: {
        languages: this.#lists.length,
        languages_left_out: this.#leftOut.length,
        candidates: this.#candidates,
        words,
        documents: this.#documents,
      },
      figures: {
        by_language: Object.fromEntries(this.#lists.map(({ language, words: count }) => [language, count])),
        languages: this.#figures,
      },
      checks: [
        checkRecords(this.#capture.refused),
        ...checkLists(this.#lists, settings),
        ...(previous === null || previous.damage !== null ? [] : this.#checkChanges(previous.lost)),
      ],
      summary: summaryOf({
        topic: TOPIC,
        records: this.#capture.records,
        seconds: this.#capture.seconds,
        documents: this.#documents,
        languagesSeen: this.#capture.languages.length + this.#capture.dropped.size,
        candidates: this.#candidates,
        candidateLanguages: this.#candidateLanguages,
        leftOut: this.#leftOut,
        words,
        languages: this.#lists.length,
        previous,
      }),
      result: { documents_processed: this.#documents, stopwords_updated: words },
    };
  }

  /** Closes the files it reads. */
  async close(): Promise<void> {
    await this.#previous?.close();
  }

  #leave(language: string, documents: number, reason: string): '' {
    this.#leftOut.push({ language, documents, reason });
    return '';
  }

  async #finishPrevious() {
    if (this.#previous === null) return null;
    await this.#previous.end();
    const { version, damage, lost } = this.#previous;
    return { version, damage, lost, compared: this.#compared };
  }

  #checkChanges(lost: readonly string[]) {
    const former = lost.map((language) => ({ language, basisBefore: this.#previous!.basisOf(language) }));
    return checkChanges(this.#compared, former, this.#context.settings);
  }
}

function nothingCaptured({ TERMS_INTERVAL_S }: CorpusSettings): FreshetError {
  return new FreshetError(
    'invalid_data',
    `The topic ${TOPIC} holds no documents, so there is nothing to build stopwords from. Send documents first; they are ` +
      `counted within ${counted(TERMS_INTERVAL_S, 'second')} by a running corpus processor. The current version stays.`,
  );
}

function nothingToPublish(leftOut: readonly LeftOut[], settings: StopwordSettings): FreshetError {
  const largest = [...leftOut].sort((a, b) => b.documents - a.documents)[0];
  const most =
    largest === undefined
      ? ''
      : ` The largest is ${largest.language} with ${counted(largest.documents, 'document')}: ${largest.reason}.`;
  return new FreshetError(
    'invalid_data',
    `No language has a list worth publishing.${most} Send more documents, or lower STOPWORDS_DOCUMENTS_MIN ` +
      `(${thousands(settings.STOPWORDS_DOCUMENTS_MIN)}). The current version stays.`,
  );
}
