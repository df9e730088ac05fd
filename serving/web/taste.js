/** One user's affinity: shares by category that add up to 100 %. */
import { call, poll } from './api.js';
import { percentages, timeOfDay } from './format.js';
import { byId, element, glide, setText } from './page.js';

const INTERVAL_MS = 1_500;
const BARS_MAX = 8;

/**
 * `onUser(id)`: another user was chosen. Returns { user(): null until one was chosen, suggest(id): chooses this one if
 * none was, refresh() }.
 */
export function startTaste({ onUser }) {
  const form = byId('taste');
  const input = byId('user');
  const list = byId('taste-bars');
  const note = byId('taste-note');
  const bars = new Map();
  let user = null;
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    choose(input.value.trim());
  });
  form.addEventListener('click', ({ target }) => {
    const id = target.closest('button')?.dataset.user;
    if (id !== undefined) choose(id || newGuest());
  });
  const refresh = poll(update, INTERVAL_MS);
  return { user: () => user, suggest, refresh };

  function suggest(id) {
    if (user === null && input.value === '') choose(id);
  }

  function choose(id) {
    if (id === '') return;
    user = id;
    input.value = id;
    for (const bar of bars.values()) bar.remove();
    bars.clear();
    setText(note, 'Loading …');
    onUser(id);
    refresh();
  }

  async function update() {
    const asked = user;
    if (asked === null) {
      setText(note, 'Enter the user_id of somebody to see what they are interested in.');
      return;
    }
    try {
      // An unknown user is no error here: it would be logged at each look.
      const answer = await call('/v1/features', { method: 'POST', body: { users: [asked], features: ['affinity'] } });
      if (asked !== user) return refresh();
      const [{ affinity }] = answer.users;
      if (affinity !== null) show(affinity);
      else {
        for (const bar of bars.values()) bar.remove();
        bars.clear();
        setText(note, `Nothing is known about ${asked} yet. View or buy something as this user and watch.`);
      }
    } catch (error) {
      if (asked !== user) return refresh();
      setText(note, error.message);
    }
  }

  function show({ as_of, scores }) {
    const shares = Object.entries(scores).sort(([, a], [, b]) => b - a);
    const shown = shares.slice(0, BARS_MAX);
    const rest = shares.slice(BARS_MAX).reduce((sum, [, share]) => sum + share, 0);
    if (rest > 0) shown.push([`${shares.length - BARS_MAX} more`, rest]);
    const percents = percentages(shown.map(([, share]) => share));
    glide([...list.children], () => {
      const names = new Set(shown.map(([name]) => name));
      for (const [name, bar] of bars) {
        if (names.has(name)) continue;
        bar.remove();
        bars.delete(name);
      }
      for (const [index, [name]] of shown.entries()) {
        const bar = bars.get(name) ?? makeBar(name);
        bars.set(name, bar);
        if (list.children[index] !== bar) list.insertBefore(bar, list.children[index] ?? null);
      }
    });
    for (const [index, [name]] of shown.entries()) {
      const bar = bars.get(name);
      bar.style.setProperty('--share', String(percents[index] / 100));
      setText(bar.lastElementChild, `${percents[index].toFixed(1)} %`);
    }
    setText(note, `Shares of interest, together 100 %; as of ${timeOfDay(as_of)}.`);
  }
}

function makeBar(name) {
  return element('li', '', element('span', 'name', name), element('span', 'bar'), element('span', 'value'));
}

/** An id that has never been used. */
function newGuest() {
  return `guest-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
}
