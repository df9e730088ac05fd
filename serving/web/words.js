/** Stopwords of one language: the surest ones, with their confidence. */
import { call, poll } from './api.js';
import { count } from './format.js';
import { byId, element, setText } from './page.js';

const SHOWN = 50;
const INTERVAL_MS = 10_000;
const FIRST_LANGUAGE = 'en';
const names = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'code' });

/** Returns { refresh() }. */
export function startWords() {
  const select = byId('language');
  const list = byId('words');
  const note = byId('words-note');
  let drawn = '';
  const refresh = poll(update, INTERVAL_MS);
  select.addEventListener('change', () => refresh());
  return { refresh };

  async function update() {
    const languages = (await call('/v1/stopwords').catch(() => null))?.languages ?? null;
    byId('words').classList.toggle('stale', languages === null);
    if (languages === null) return;
    offer(languages);
    byId('words-empty').hidden = languages.length > 0;
    select.disabled = languages.length === 0;
    if (languages.length === 0) {
      list.replaceChildren();
      setText(note, '');
      return;
    }
    const asked = select.value;
    const answer = await call(`/v1/stopwords/${encodeURIComponent(asked)}`).catch((error) =>
      setText(note, error.message),
    );
    if (asked !== select.value) return refresh();
    if (answer) show(answer);
  }

  function offer(languages) {
    const chosen = select.value;
    const text = languages.join();
    if (select.dataset.languages === text) return;
    select.dataset.languages = text;
    const named = languages.map((code) => [code, names.of(code)]).sort(([, a], [, b]) => a.localeCompare(b, 'en'));
    select.replaceChildren(...named.map(([code, name]) => new Option(name, code)));
    const wanted = [chosen, FIRST_LANGUAGE].find((code) => languages.includes(code));
    if (wanted !== undefined) select.value = wanted;
  }

  function show({ version, language, words }) {
    const all = Object.entries(words).sort(([, a], [, b]) => b - a);
    const text = JSON.stringify([version, language, all.slice(0, SHOWN)]);
    if (text === drawn) return;
    drawn = text;
    list.lang = language;
    list.replaceChildren(...all.slice(0, SHOWN).map(([word, confidence]) => wordItem(word, confidence)));
    const shown = Math.min(SHOWN, all.length);
    setText(
      note,
      `The ${count(shown)} surest of ${count(all.length)} words, from version ${version}. The surest words are frequent, short, and used in documents of every source.`,
    );
  }
}

function wordItem(word, confidence) {
  const name = element('span', 'word', word);
  name.dir = 'auto';
  const made = element(
    'li',
    '',
    name,
    element('span', 'bar'),
    element('span', 'value', `${Math.round(100 * confidence)} %`),
  );
  made.style.setProperty('--share', String(confidence));
  return made;
}
