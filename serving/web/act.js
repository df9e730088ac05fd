/** Sends an event and watches its effect: how long until it is readable, and how far the product moves. */
import { ApiError, call, poll } from './api.js';
import { liveChart } from './charts.js';
import { count, score, shortTime, splitId } from './format.js';
import { byId, setText } from './page.js';

const WATCH_INTERVAL_MS = 1_000;
const LOOK_MS = 40;
const LOOK_MS_MAX = 20_000;
const CROWD = 50;
const TOAST_MS = 6_000;
/** The count of the product that each event increments, and the wording for it. */
const COUNTS = { view: 'views', add_to_cart: 'add_to_carts', purchase: 'purchases' };
const DONE = { view: 'Viewed', add_to_cart: 'Put into the cart', purchase: 'Bought' };

/**
 * `user()`: the acting user; `items()`, `course(id)`: the current ranking; `onWatch(id, title)`: another product is watched;
 * `onReadable(id)`: an event sent from here can be read.
 */
export function startActing({ user, items, course, onWatch, onReadable }) {
  const form = byId('act');
  const input = byId('product');
  const outcome = byId('outcome');
  const chart = liveChart(byId('watched-chart'), {
    series: [{ label: 'score', color: '--accent', fill: '--accent-wash' }],
    format: score,
    height: 132,
    zoom: true,
  });
  let watched = null;
  let turn = 0;
  let toastTimer;
  const refresh = poll(watch, WATCH_INTERVAL_MS);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    choose(input.value.trim());
    if (document.body.matches('.demo.may-write')) send(event.submitter?.value ?? 'purchase');
  });
  input.addEventListener('change', () => choose(input.value.trim()));
  return { choose, buy, watchFirst, offer };

  function choose(id) {
    if (id === '' || id === watched) return;
    watched = id;
    input.value = id;
    chart.restart(course(id).map(([atMs, value]) => [atMs, [value]]));
    const item = items().find(({ product_id }) => product_id === id);
    const title = item?.product?.title ?? null;
    onWatch(id, title);
    setText(byId('watched'), title ?? splitId(id, item?.category ?? '')[1]);
    setText(byId('watched-counts'), '');
    refresh();
  }

  function buy(id) {
    choose(id);
    send('purchase');
  }

  /** A product to watch until one is chosen: not the first, which cannot rise. */
  function watchFirst() {
    if (watched === null && items().length > 0) choose(items()[Math.min(7, items().length - 1)].product_id);
  }

  function offer(list) {
    const options = byId('products');
    if (options.children.length === list.length) return;
    options.replaceChildren(...list.map(({ product_id }) => new Option('', product_id)));
  }

  async function watch() {
    const id = watched;
    if (id === null) return;
    const found = await popularity(id).catch(() => null);
    if (id !== watched || found === null) return;
    chart.push(Date.now(), [found.score]);
    const { views, add_to_carts, purchases } = found;
    setText(
      byId('watched-counts'),
      `${count(views)} views · ${count(add_to_carts)} carts · ${count(purchases)} bought`,
    );
  }

  async function send(choice) {
    const id = watched;
    const mine = ++turn;
    const events = choice === 'crowd' ? crowd(id) : [eventOf(user(), id, choice)];
    const type = events[0].event_type;
    const who = choice === 'crowd' ? `${CROWD} guests` : user();
    const placeBefore = placeOf(id);
    form.setAttribute('aria-busy', 'true');
    try {
      const before = await popularity(id);
      const began = performance.now();
      const receipt = await call('/v1/events', { method: 'POST', body: events });
      if (receipt.rejected.length > 0) throw new ApiError(400, receipt.rejected[0].error);
      const after = await seen(id, COUNTS[type], before[COUNTS[type]] + events.length, began);
      const tookMs = performance.now() - began;
      onReadable(id);
      if (mine === turn) tell(after === null ? LATE : readable(type, who, before, after, tookMs));
      if (after !== null && mine === turn) tellPlace(id, placeBefore, mine);
    } catch (error) {
      if (mine === turn) tell(error.message);
    } finally {
      if (mine === turn) form.removeAttribute('aria-busy');
    }
  }

  /** The ranking follows within a second: then report the place too. */
  function tellPlace(id, placeBefore, mine) {
    setTimeout(() => {
      const place = placeOf(id);
      if (mine !== turn || place === 0) return;
      const from = placeBefore > 0 && placeBefore !== place ? `from place ${placeBefore} ` : '';
      tell(`${outcome.textContent} ${from ? `It moved ${from}to ${place}.` : `It is in place ${place}.`}`);
    }, 1_500);
  }

  /** If the panel is out of sight (on a phone), the same text appears at the bottom of the screen. */
  function tell(text) {
    setText(outcome, text);
    const { top, bottom } = outcome.getBoundingClientRect();
    const toast = byId('toast');
    toast.hidden = top < innerHeight && bottom > 0;
    setText(toast, toast.hidden ? '' : text);
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => {
      toast.hidden = true;
    }, TOAST_MS);
  }

  function placeOf(id) {
    return items().findIndex(({ product_id }) => product_id === id) + 1;
  }
}

const LATE = 'Accepted and in the log, but not readable yet: the pipeline is behind and will catch up.';

function readable(type, who, before, after, tookMs) {
  return `${DONE[type]} by ${who}, counted, and in the database after ${shortTime(tookMs)}. Score ${score(before.score)} → ${score(after.score)}.`;
}

/** An unknown product has no score yet, which is no error. */
async function popularity(id) {
  const body = { products: [id], features: ['popularity'] };
  const { products } = await call('/v1/features', { method: 'POST', body });
  return products[0].popularity ?? { score: 0, views: 0, add_to_carts: 0, purchases: 0 };
}

/** Polls until the count has been reached; null when that takes too long. */
async function seen(id, field, wanted, began) {
  while (performance.now() - began < LOOK_MS_MAX) {
    const now = await popularity(id);
    if (now[field] >= wanted) return now;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return null;
}

function crowd(id) {
  return Array.from({ length: CROWD }, () => eventOf(`guest-${crypto.randomUUID().slice(0, 8)}`, id, 'purchase'));
}

function eventOf(userId, productId, type) {
  return {
    event_id: `page-${crypto.randomUUID()}`,
    user_id: userId,
    product_id: productId,
    event_type: type,
    ts: Date.now(),
  };
}
