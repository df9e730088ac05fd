/** The shop's texts in all its languages: catalogue pages, guides, reviews and help. */
import type { Document } from '../../schemas/records.js';
import { DAY_MS } from '../../topics/time.js';
import { languages } from './languages/all.js';
import { type Language, type Passages, SOURCES, type Source } from './languages/language.js';
import { Random } from './random.js';

/** How many of each 20 documents come from each source. */
const MIX: Readonly<Record<Source, number>> = { catalogue: 6, guide: 5, review: 6, help: 3 };
const PER_LANGUAGE = 220;
const UPDATED_WITHIN_DAYS = 720;

/** PER_LANGUAGE documents in every language, no two alike. */
export function createDocuments(seed: number, nowMs: number): Document[] {
  return languages.flatMap((language) =>
    inOneLanguage(language, new Random(seed, `documents/${language.code}`), nowMs),
  );
}

function inOneLanguage(language: Language, random: Random, nowMs: number): Document[] {
  const sources = SOURCES.flatMap((source) => Array<Source>(MIX[source]).fill(source));
  const seen = new Set<string>();
  return Array.from({ length: PER_LANGUAGE }, (_, index) => {
    const source = sources[index % sources.length]!;
    let text = compose(language, language.passages[source], random);
    while (seen.has(text)) text = compose(language, language.passages[source], random);
    seen.add(text);
    return {
      doc_id: `${language.code}-${source}-${String(index + 1).padStart(4, '0')}`,
      language: language.code,
      source,
      text,
      updated_at: nowMs - random.integer(UPDATED_WITHIN_DAYS * DAY_MS),
    };
  });
}

function compose(language: Language, passages: Passages, random: Random): string {
  const thing = random.pick(language.things).split('|');
  const left = new Set(random.shuffled(passages.body).slice(0, 3 + random.integer(4)));
  const sentences = [
    random.pick(passages.openings),
    ...passages.body.filter((sentence) => left.has(sentence)),
    random.pick(passages.closings),
  ];
  return sentences.map((sentence) => fill(sentence, thing, language, random)).join(' ');
}

function fill(sentence: string, thing: readonly string[], language: Language, random: Random): string {
  const filled = sentence.replaceAll(/\{(\w+)(?:\.(\d))?\}/g, (marker, slot: string, form: string | undefined) => {
    switch (slot) {
      case 'thing':
        return thing[Number(form ?? 0)]!;
      case 'place':
        return random.pick(language.places);
      case 'time':
        return random.pick(language.times);
      case 'n':
        return String(5 + random.integer(10));
      default:
        throw new Error(`${language.code}: ${marker} is not a slot`);
    }
  });
  return filled.charAt(0).toLocaleUpperCase(language.code) + filled.slice(1);
}
