/** A kind of text: the source of its documents. Markup is stripped simply; this is for the evaluation only. */

export interface TextDocument {
  /** As in stopwords-iso: a lower-case primary tag; both kinds of Norwegian are no. */
  readonly language: string;
  readonly source: string;
  readonly text: string;
}

export interface Kind {
  readonly name: string;
  readonly what: string;
  documents(say: (line: string) => void): AsyncIterable<TextDocument>;
}

/** The primary tag of a locale such as pt_BR or zh-Hans. */
export function languageOf(locale: string): string {
  const primary = locale.split(/[-_@.]/)[0]!.toLowerCase();
  return primary === 'nb' || primary === 'nn' ? 'no' : primary;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' };

/** Text of HTML or XML: no code, no tags, entities resolved. */
export function textOfMarkup(markup: string): string {
  return markup
    .replaceAll(/<!--.*?-->/gs, ' ')
    .replaceAll(/<(script|style|head|pre|code|cmd|screen|info)\b.*?<\/\1>/gs, ' ')
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/&(#x?)?(\w+);/g, (whole, number: string | undefined, name: string) => {
      if (number === undefined) return ENTITIES[name] ?? ' ';
      const code = Number.parseInt(name, number === '#x' ? 16 : 10);
      return code > 0 && code < 0x110000 ? String.fromCodePoint(code) : whole;
    });
}

/** Sections of a manual page: lines of text without macros, escapes resolved where that is simple. */
export function sectionsOfRoff(roff: string): string[] {
  const sections: string[] = [''];
  for (const line of roff.split('\n')) {
    if (/^[.']\s*(SH|Sh)\b/.test(line)) sections.push('');
    else if (!/^[.']/.test(line)) sections[sections.length - 1] += `${line}\n`;
  }
  return sections
    .map((text) =>
      text
        .replaceAll(/\\f(\[\w*\]|\(\w\w|\w)/g, '')
        .replaceAll(/\\\((aq|cq|oq)/g, "'")
        .replaceAll(/\\(\[[^\]]*\]|\(\w\w|\*\w|[%&,/|^:])/g, '')
        .replaceAll(/\\[- ~0ce]/g, ' ')
        .replaceAll(/\\s[-+]?\d/g, ''),
    )
    .filter((text) => text.trim() !== '');
}
