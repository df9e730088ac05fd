/** Contrast of all pairs of colours that meet in the style sheet, in the light and dark themes (WCAG 2.2, level AA). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { WEB_FOLDER } from '../../serving/routes/page.js';

type Theme = Readonly<Record<string, string>>;
type Rgb = readonly [number, number, number];

const css = readFileSync(join(WEB_FOLDER, 'style.css'), 'utf8');
const [light, dark] = themes(css);

/** Text colours on their background. */
const TEXT: readonly (readonly [string, string])[] = [
  ...['ink', 'ink-2', 'accent', 'up', 'down'].flatMap((text) => [[text, 'paper'] as const, [text, 'raised'] as const]),
  ['accent-ink', 'accent'],
  ['river-ink', 'river'],
  ['river-ink-2', 'river'],
];
/** Lines, dots and frames that convey meaning. */
const GRAPHICS: readonly (readonly [string, string])[] = [
  ...['accent', 'amber', 'violet', 'rose', 'blue', 'focus'].map((line) => [line, 'paper'] as const),
  ...['flow', 'good', 'warn', 'bad'].map((line) => [line, 'river'] as const),
];

function themes(text: string): [Theme, Theme] {
  const blocks = [...text.matchAll(/:root\s*\{([^}]*)\}/g)].map((match) => match[1]!);
  assert.equal(blocks.length, 2, 'a light and a dark set of colours');
  assert.match(text, /@media \(prefers-color-scheme: dark\)\s*\{\s*:root/);
  const [first, second] = blocks.map(variables) as [Theme, Theme];
  return [first, { ...first, ...second }];
}

function variables(block: string): Theme {
  return Object.fromEntries(
    [...block.matchAll(/--([\w-]+):\s*([^;]+);/g)].map((match) => [match[1]!, match[2]!.trim()]),
  );
}

function rgb(hex: string): Rgb {
  const match = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})/i.exec(hex.length === 4 ? hex.replace(/\w/g, '$&$&') : hex);
  assert.ok(match, `${hex} is no colour`);
  return [match[1]!, match[2]!, match[3]!].map((part) => Number.parseInt(part, 16)) as unknown as Rgb;
}

/** Mixed in sRGB, as color-mix does. */
function mix(a: Rgb, b: Rgb, shareOfA: number): Rgb {
  return a.map((part, index) => part * shareOfA + b[index]! * (1 - shareOfA)) as unknown as Rgb;
}

/** Relative luminance as WCAG 2.2 defines it. */
function luminance(color: Rgb): number {
  const [r, g, b] = color.map((part) => {
    const c = part / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: Rgb, b: Rgb): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high! + 0.05) / (low! + 0.05);
}

test('the formula is that of the standard', () => {
  assert.equal(contrast(rgb('#000'), rgb('#ffffff')), 21);
  assert.ok(Math.abs(contrast(rgb('#777777'), rgb('#ffffff')) - 4.48) < 0.01);
});

for (const [name, theme] of [
  ['light', light],
  ['dark', dark],
] as const) {
  test(`${name}: text has a contrast of 4.5 with its background`, () => {
    for (const [text, ground] of TEXT) {
      const ratio = contrast(rgb(theme[text]!), rgb(theme[ground]!));
      assert.ok(ratio >= 4.5, `--${text} on --${ground}: ${ratio.toFixed(2)}`);
    }
  });

  test(`${name}: text also has enough contrast on the marked row and under the pointer`, () => {
    const marked = mix(rgb(theme['accent']!), rgb(theme['paper']!), 0.09);
    for (const text of ['ink', 'ink-2', 'up', 'down', 'accent']) {
      const ratio = contrast(rgb(theme[text]!), marked);
      assert.ok(ratio >= 4.5, `--${text} on the marked row: ${ratio.toFixed(2)}`);
    }
  });

  test(`${name}: lines, marks and frames of fields have a contrast of 3`, () => {
    for (const [line, ground] of GRAPHICS) {
      const ratio = contrast(rgb(theme[line]!), rgb(theme[ground]!));
      assert.ok(ratio >= 3, `--${line} on --${ground}: ${ratio.toFixed(2)}`);
    }
    const paper = rgb(theme['paper']!);
    const frame = mix(rgb(theme['ink-2']!), paper, FIELD_FRAME_SHARE);
    assert.ok(contrast(frame, paper) >= 3, `frames of fields: ${contrast(frame, paper).toFixed(2)}`);
  });
}

const FIELD_FRAME_SHARE = (() => {
  const match =
    /select,\s*input\s*\{[^}]*border: 1px solid color-mix\(in srgb, var\(--ink-2\) (\d+)%, var\(--paper\)\)/.exec(css);
  assert.ok(match, 'how the frame of a field is mixed');
  return Number(match[1]) / 100;
})();

test('colours are defined once: no rule has its own', () => {
  const rules = css.replaceAll(/:root\s*\{[^}]*\}/g, '');
  const own = [...rules.matchAll(/#[0-9a-f]{3,8}\b/gi)].map((match) => match[0]);
  // A shadow, and the veil behind a dialog, are not backgrounds of text.
  assert.deepEqual(own.sort(), ['#0005', '#0a1413b3']);
});

test('there is no motion for users who prefer reduced motion', () => {
  const outside = css.replaceAll(
    /@media \(prefers-reduced-motion: no-preference\)\s*\{(?:[^{}]*\{[^}]*\})*[^{}]*\}/g,
    '',
  );
  assert.doesNotMatch(outside, /^\s*(transition|animation):/m);
});
