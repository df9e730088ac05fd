/** The slow, obvious way to find the words of a text, to compare the fast one with. */

const UNSPACED =
  '\\p{scx=Hani}\\p{scx=Hira}\\p{scx=Kana}\\p{sc=Thai}\\p{sc=Laoo}\\p{sc=Khmr}\\p{sc=Mymr}\\p{sc=Lana}\\p{sc=Talu}\\p{sc=Tale}';
const LETTER = `(?:(?![${UNSPACED}])\\p{L})`;
const MARK = `(?:(?![${UNSPACED}])\\p{M})`;
const PART = `${LETTER}(?:${LETTER}|${MARK})*`;
const RUN = `(?:(?=[${UNSPACED}])[\\p{L}\\p{M}])(?:(?=[${UNSPACED}])[\\p{L}\\p{M}]|\\p{M})*`;
/** A part continues after an apostrophe unless a Latin vowel or h follows. */
const FOLLOWS = `(?!${'[aeiouyhæœø]'})`;
const WORD = new RegExp(`(?<run>${RUN})|${PART}(?:['’](?=${LETTER})${PART})*`, 'gu');
const segmenter = new Intl.Segmenter('en', { granularity: 'word' });

/** All words in order, with repetitions. */
export function referenceWords(text: string): string[] {
  return [...text.matchAll(WORD)]
    .flatMap((match) => (match.groups!['run'] === undefined ? parts(match[0]) : segments(match[0])))
    .filter((word) => Buffer.byteLength(word) <= 64);
}

function segments(run: string): string[] {
  return [...segmenter.segment(run.normalize('NFC'))]
    .filter(({ isWordLike }) => isWordLike)
    .map(({ segment }) => segment);
}

/** Splits a chain of parts where an article was elided. */
function parts(chain: string): string[] {
  const words: string[] = [];
  for (const part of chain.split(/['’]/u)) {
    const bare = folded(part.slice(0, String.fromCodePoint(part.codePointAt(0)!).length)).normalize('NFD');
    const joins = words.length > 0 && new RegExp(`^${FOLLOWS}`, 'u').test(bare);
    if (joins) words.push(`${words.pop()}'${part}`);
    else words.push(part);
  }
  return words.map(folded);
}

function folded(word: string): string {
  return [...word.normalize('NFC')]
    .map((character) => (character === 'İ' ? 'i' : character.toLowerCase()))
    .join('')
    .normalize('NFC');
}
