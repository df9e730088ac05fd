/**
 * Character properties that the word rules need, as tables over the Basic Multilingual Plane (63 K characters, built
 * once in about 30 ms from JavaScript's Unicode properties); the few characters beyond it are looked up individually.
 */

/** A letter (\p{L}). */
export const LETTER = 1;
/** A combining mark (\p{M}). */
export const MARK = 2;
/** A letter or mark of a script without spaces between words. */
export const UNSPACED = 4;
/** Normalisation may change it, or combine it with the preceding character: NFC_Quick_Check is not Yes. */
export const UNSETTLED = 8;
/** Its combining class is not 0: normalisation may reorder two in a row. */
export const COMBINING = 16;
/** A Latin vowel or h: a Romance article drops its own vowel before it. */
export const ELIDES = 32;

/** Extensions only of scripts whose marks (ー, ゙) are in several of them; Tai Le's would include the acute accent. */
const UNSPACED_SCRIPTS =
  /[\p{scx=Hani}\p{scx=Hira}\p{scx=Kana}\p{sc=Thai}\p{sc=Laoo}\p{sc=Khmr}\p{sc=Mymr}\p{sc=Lana}\p{sc=Talu}\p{sc=Tale}]/u;
const VOWELS = /[aeiouyhæœø]/;
const PLANE = 0x10000;
const SURROGATES = 0xd800;
const SURROGATES_END = 0xe000;
/** İ: its lower case would be an i with a second dot above, which is not a letter of any alphabet. */
const DOTTED_CAPITAL_I = 0x130;

interface Characters {
  /** Bits of every character of the plane. */
  readonly kind: Uint8Array;
  /** Its lower case, or itself if it has none. */
  readonly lower: Uint16Array;
}

let made: Characters | null = null;

/** The tables; built at the first call. */
export function characters(): Characters {
  made ??= make();
  return made;
}

/** Bits of a character beyond the plane; normalising is left to the slow path. */
export function kindBeyond(code: number): number {
  const text = String.fromCodePoint(code);
  if (/\p{L}/u.test(text)) return UNSPACED_SCRIPTS.test(text) ? LETTER | UNSPACED : LETTER | UNSETTLED;
  return /\p{M}/u.test(text) ? MARK | UNSETTLED : 0;
}

/** One code point in lower case, regardless of its context. */
export function lowerCase(character: string): string {
  return character.codePointAt(0) === DOTTED_CAPITAL_I ? 'i' : character.toLowerCase();
}

function make(): Characters {
  const kind = new Uint8Array(PLANE);
  const lower = new Uint16Array(PLANE);
  for (let code = 0; code < PLANE; code++) {
    lower[code] = code;
    if (code >= SURROGATES && code < SURROGATES_END) continue;
    const text = String.fromCharCode(code);
    const bit = /\p{L}/u.test(text) ? LETTER : /\p{M}/u.test(text) ? MARK : 0;
    if (bit === 0) continue;
    kind[code] = bit | (UNSPACED_SCRIPTS.test(text) ? UNSPACED : 0);
    const small = lowerCase(text);
    if (small.length === 1) lower[code] = small.charCodeAt(0);
  }
  for (let code = 0; code < PLANE; code++)
    if (kind[code] !== 0) classify(kind, code, String.fromCharCode(lower[code]!));
  return { kind, lower };
}

function classify(kind: Uint8Array, code: number, small: string): void {
  const text = String.fromCharCode(code);
  const parts = text.normalize('NFD');
  if (text.normalize('NFC') !== text) kind[code]! |= UNSETTLED;
  else {
    // A composed character: each of its parts except the first combines with what precedes it.
    for (let i = 1; i < parts.length; i++) kind[parts.charCodeAt(i)]! |= UNSETTLED;
  }
  if ((kind[code]! & LETTER) !== 0 && VOWELS.test(small.normalize('NFD').charAt(0))) kind[code]! |= ELIDES;
  if ((kind[code]! & MARK) !== 0 && isCombining(text)) kind[code]! |= COMBINING;
}

/** Whether a mark is reordered with a preceding mark of class 1, or with one of class 240: all but class 0 are. */
function isCombining(mark: string): boolean {
  const goesBehind = `a${mark}\u0334`.normalize('NFD').startsWith('a\u0334');
  const goesBefore = !`a\u0345${mark}`.normalize('NFD').startsWith('a\u0345');
  return goesBehind || goesBefore;
}
