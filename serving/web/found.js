/** Results of the models: products for the current user, products like the watched one, and matches of a query. */
import { ApiError, call, poll } from './api.js';
import { count, score } from './format.js';
import { byId, element, namesOf, setText } from './page.js';

const SHOWN = 8;
const INTERVAL_MS = 4_000;
const TYPING_MS = 250;
const MODEL_INTERVAL_MS = 30_000;

/** Shown with all results of the model-free replacement: they must not be mistaken for those of a model. */
export const LEXICAL =
  'No embedding model is set: texts are compared by their letters, so synonyms do not match. Set EMBEDDING_MODEL_DIR to compare their meaning.';

/** `settings`: of a version of the index. */
export function isLexical({ model }) {
  return typeof model === 'string' && model.startsWith('hashed-');
}

/**
 * `onChoose(id)`: a product was clicked. Returns { forUser(id), likeProduct(id, title), refresh(), versionChanged() }.
 */
export function startFound({ onChoose }) {
  const room = byId('found');
  const asked = { user: null, product: null, query: '' };
  /** The product that no model of the current versions knows: not asked for again. */
  let unknown = null;
  const lists = {
    recommended: foundList('recommended', onChoose),
    similar: foundList('similar', onChoose),
    search: foundList('search', onChoose),
  };
  const input = byId('query');
  let typing;
  const find = () => {
    clearTimeout(typing);
    asked.query = input.value.trim();
    return search();
  };
  input.addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(find, TYPING_MS);
  });
  byId('search').addEventListener('submit', (event) => {
    event.preventDefault();
    find();
  });
  byId('search').addEventListener('click', ({ target }) => {
    const words = target.closest('button')?.dataset.query;
    if (words === undefined) return;
    input.value = words;
    find();
  });
  const refresh = poll(() => Promise.all([recommend(), resemble(), search()]), INTERVAL_MS);
  const askModel = poll(warn, MODEL_INTERVAL_MS);
  return {
    forUser(id) {
      asked.user = id;
      setText(byId('recommended-whom'), id);
      recommend();
    },
    likeProduct(id, title) {
      asked.product = id;
      unknown = null;
      setText(byId('similar-what'), title ?? id);
      resemble();
    },
    refresh,
    versionChanged() {
      unknown = null;
      refresh();
      askModel();
    },
  };

  async function warn() {
    const answer = await call('/v1/versions/faiss').catch(() => null);
    const current = answer?.versions.find(({ version }) => version === answer.current);
    byId('found-warning').hidden = current === undefined || !isLexical(current.manifest.settings ?? {});
    setText(byId('found-warning'), LEXICAL);
  }

  function recommend() {
    const { user } = asked;
    if (user === null) return null;
    const path = `/v1/users/${encodeURIComponent(user)}/recommendations?include=product&limit=${SHOWN}`;
    return show(lists.recommended, path, () => asked.user === user, recommendedNote);
  }

  function resemble() {
    const { product } = asked;
    if (product === null || product === unknown) return null;
    const path = `/v1/products/${encodeURIComponent(product)}/similar?include=product&limit=${SHOWN}`;
    return show(
      lists.similar,
      path,
      () => asked.product === product,
      ({ version }) => `Half by text, half by behaviour. Index version ${version}.`,
    );
  }

  function search() {
    const { query } = asked;
    if (query === '') {
      lists.search.show([]);
      lists.search.note('Type what you are looking for; it is compared with titles and descriptions.');
      return null;
    }
    return show(
      lists.search,
      `/v1/search?q=${encodeURIComponent(query)}&include=product&limit=${SHOWN}`,
      () => asked.query === query,
      ({ version, unknown_words: unknown = [] }) =>
        `Words, nearness of the texts, and popularity. Index version ${version}.${unknown.length === 0 ? '' : ` No product has ${unknown.join(', ')}.`}`,
    );
  }

  async function show(list, path, isAsked, noteOf) {
    const answer = await call(path).catch((error) => error);
    // Ignore the answer to an outdated request.
    if (!isAsked()) return;
    room.classList.toggle('stale', answer instanceof ApiError && answer.status === 0);
    if (answer instanceof Error) {
      if (answer.status !== 0) list.show([]);
      if (answer.status === 404 && list === lists.similar) unknown = asked.product;
      list.note(answer.message);
      return;
    }
    list.show(answer.items);
    const unknown = answer.unknown_words?.join(', ');
    const nothing = unknown ? `Nothing was found: no product has ${unknown}.` : 'Nothing was found.';
    list.note(answer.items.length === 0 ? nothing : noteOf(answer));
  }
}

function recommendedNote({ version, fallback, items }) {
  if (fallback !== undefined)
    return 'Popular products: the model does not know this user yet, or there is none so far. It learns with its next version.';
  return `The ${count(items.length)} that match best, without purchased products. Model version ${version}.`;
}

function foundList(name, onChoose) {
  const list = byId(`${name}-items`);
  const note = byId(`${name}-note`);
  let drawn = '';
  list.addEventListener('click', ({ target }) => {
    const id = target.closest('button')?.dataset.product;
    if (id !== undefined) onChoose(id);
  });
  return {
    note: (text) => setText(note, text),
    show(items) {
      const text = JSON.stringify(items);
      if (text === drawn) return;
      drawn = text;
      const focused = list.contains(document.activeElement) ? document.activeElement.dataset.product : undefined;
      const most = Math.max(...items.map((item) => item.score));
      list.replaceChildren(...items.map((item) => foundItem(item, most)));
      if (focused !== undefined)
        list.querySelector(`[data-product="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    },
  };
}

function foundItem(item, most) {
  const name = element('button', 'name', ...namesOf(item));
  name.type = 'button';
  name.title = item.product_id;
  name.dataset.product = item.product_id;
  const value = Math.abs(item.score) < 10 ? item.score.toFixed(2) : score(item.score);
  const made = element('li', '', name, element('span', 'bar'), element('span', 'value', value));
  made.style.setProperty('--share', String(most > 0 ? Math.max(0, item.score / most) : 0));
  return made;
}
