/** Writes the words of a version's products, in the order of its table of ids. */
import { writeFile } from 'node:fs/promises';
import { detectLanguage, loadDetector, UNKNOWN_LANGUAGE } from '../../../processors/corpus/language.js';
import type { IdTable } from '../id-table.js';
import type { TextsCapture } from '../texts-capture.js';
import { buildWordIndex, type ProductText } from './word-index.js';

/** A language of fewer products than this share is a mistake of detection more often than not: texts are short. */
const LANGUAGE_SHARE_MIN = 0.05;

/** Returns how many products have a text. */
export async function writeWords(path: string, ids: IdTable, texts: TextsCapture): Promise<number> {
  await loadDetector();
  const found = Array.from({ length: ids.count }, (_, position) => {
    const text = texts.get(ids.idAt(position));
    return text === null ? null : { ...text, language: languageOf(`${text.title}. ${text.description}`) };
  });
  const products = withUsualLanguages(found);
  await writeFile(path, buildWordIndex(products), { mode: 0o600 });
  return products.filter((product) => product !== null).length;
}

function languageOf(text: string): string {
  const bytes = Buffer.from(text);
  return detectLanguage(bytes, 0, bytes.length);
}

/** Rare languages, and texts whose language is not known, count as the most frequent one. */
function withUsualLanguages(found: readonly (ProductText | null)[]): (ProductText | null)[] {
  const counts = new Map<string, number>();
  for (const product of found)
    if (product !== null && product.language !== UNKNOWN_LANGUAGE)
      counts.set(product.language, (counts.get(product.language) ?? 0) + 1);
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const [usual = 'en'] = [...counts.keys()].sort((a, b) => counts.get(b)! - counts.get(a)!);
  const isUsual = (language: string) => (counts.get(language) ?? 0) >= LANGUAGE_SHARE_MIN * total;
  return found.map(
    (product) => product && { ...product, language: isUsual(product.language) ? product.language : usual },
  );
}
