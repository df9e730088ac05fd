/** The table of popular products: polled, kept in order, moving. */
import { call, poll } from './api.js';
import { change, NOTHING, score, timeOfDay } from './format.js';
import { RankingMemory, sparkline } from './movement.js';
import { byId, element, glide, namesOf, setText } from './page.js';

const SHOWN = 20;
/** More than are shown, so that the rise of a newcomer is known. */
const ASKED = 100;
const INTERVAL_MS = 1_000;
/** Rows do not swap places under a pointer that is moving towards a button. */
const HOLD_MS = 900;
const SPARK_WIDTH = 96;
const SPARK_HEIGHT = 24;

/**
 * `onChoose(item)`: a product was clicked; `onBuy(item)`: its Buy button was clicked; `onItems(items)`: a new ranking
 * has arrived. Returns { items(): all items of the last poll, course(id): its recent scores, watch(id): marks its row,
 * flash(id): highlights the row, refresh() }.
 */
export function startRanking({ onChoose, onBuy, onItems }) {
  const body = byId('ranking-rows');
  const select = byId('category');
  const rows = new Map();
  let memory = new RankingMemory();
  let items = [];
  let category = '';
  let pointerMovedMs = 0;
  let watched = null;
  body.addEventListener('pointermove', () => {
    pointerMovedMs = performance.now();
  });
  const refresh = poll(update, INTERVAL_MS);
  select.addEventListener('change', () => {
    category = select.value;
    memory = new RankingMemory();
    refresh();
  });
  return {
    items: () => items,
    course: (id) => memory.course(id),
    watch(id) {
      watched = id;
      for (const [own, { line }] of rows) line.classList.toggle('watched', own === id);
    },
    flash: (id) => rows.get(id)?.flash(),
    refresh,
  };

  async function update() {
    const asked = category;
    const query = asked === '' ? '' : `&category=${encodeURIComponent(asked)}`;
    const answer = await call(`/v1/popular?include=product&limit=${ASKED}${query}`).catch(() => null);
    // Ignore the answer to an outdated request.
    if (asked !== category) return refresh();
    body.classList.toggle('stale', answer === null);
    if (answer === null) return;
    items = answer.items;
    byId('ranking-room').classList.remove('loading');
    byId('ranking-empty').hidden = items.length > 0;
    memory.add(Date.now(), items);
    offerCategories(items);
    draw();
    setText(byId('ranking-as-of'), `As of ${timeOfDay(answer.as_of)}.`);
    onItems(items);
  }

  function draw() {
    const shown = items.slice(0, SHOWN);
    const wanted = new Set(shown.map(({ product_id }) => product_id));
    const holding = performance.now() - pointerMovedMs < HOLD_MS && rows.size > 0;
    if (!holding) {
      glide([...body.children], () => {
        for (const [id, row] of rows) {
          if (wanted.has(id)) continue;
          row.line.remove();
          rows.delete(id);
        }
        arrange(shown);
      });
    }
    const moves = memory.moves();
    const top = items[0]?.score ?? 1;
    for (const item of shown) rows.get(item.product_id)?.show(moves.get(item.product_id), top, memory);
  }

  /** Moves as few rows as possible: a moved row loses its focus, which is then restored. */
  function arrange(shown) {
    const focused = document.activeElement;
    for (const [index, item] of shown.entries()) {
      let row = rows.get(item.product_id);
      if (row === undefined) {
        row = makeRow(item, onChoose, onBuy);
        row.line.classList.toggle('watched', item.product_id === watched);
        rows.set(item.product_id, row);
      }
      if (body.children[index] !== row.line) body.insertBefore(row.line, body.children[index] ?? null);
    }
    if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
  }

  function offerCategories(found) {
    const known = new Set([...select.options].map(({ value }) => value));
    const missing = new Set(found.map((item) => item.category).filter((name) => !known.has(name)));
    if (missing.size === 0) return;
    const all = [...known, ...missing].filter((name) => name !== '').sort((a, b) => a.localeCompare(b, 'en'));
    select.replaceChildren(select.options[0], ...all.map((name) => new Option(name, name)));
    select.value = category;
  }
}

function makeRow(item, onChoose, onBuy) {
  const name = element('button', 'name', ...namesOf(item));
  name.type = 'button';
  name.title = item.product_id;
  name.addEventListener('click', () => onChoose(item));
  const buy = element('button', 'buy', 'Buy', element('span', 'visually-hidden', ` ${item.product_id}`));
  buy.type = 'button';
  buy.addEventListener('click', () => onBuy(item));
  const place = element('td', 'place');
  const move = element('td', 'move');
  const gain = element('td', 'gain');
  const points = element('td', 'score');
  const { svg, line: spark } = sparklineElement();
  const product = element('th', 'product', name);
  product.scope = 'row';
  const line = element(
    'tr',
    '',
    place,
    move,
    product,
    element('td', 'trend', svg),
    gain,
    points,
    element('td', 'act take-part', buy),
  );
  return {
    line,
    flash() {
      line.animate([{ backgroundColor: 'var(--accent-wash)' }, { backgroundColor: 'transparent' }], 1_600);
    },
    show(now, top, memory) {
      setText(place, String(now.place));
      setText(points, score(now.score));
      setText(gain, now.gain === null ? NOTHING : change(now.gain));
      showMove(move, now, memory.spanSeconds);
      spark.setAttribute('points', sparkline(memory.course(item.product_id), Date.now(), SPARK_WIDTH, SPARK_HEIGHT));
      line.style.setProperty('--share', String(Math.max(0, Math.min(1, now.score / top))));
    },
  };
}

function showMove(cell, { move }, spanSeconds) {
  const direction = move === null ? 'new' : move > 0 ? 'up' : move < 0 ? 'down' : 'same';
  const text = { new: 'new', up: `▲ ${move}`, down: `▼ ${-move}`, same: NOTHING }[direction];
  if (cell.textContent === text) return;
  const since = spanSeconds < 60 ? `in ${spanSeconds} s` : 'in a minute';
  const spoken = { new: 'new in the list', up: `up ${move} ${since}`, down: `down ${-move} ${since}`, same: 'no move' };
  const sign = element('span', '', text);
  sign.ariaHidden = 'true';
  cell.replaceChildren(sign, element('span', 'visually-hidden', spoken[direction]));
  cell.dataset.direction = direction;
}

function sparklineElement() {
  const svgName = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(svgName, 'svg');
  const line = document.createElementNS(svgName, 'polyline');
  svg.setAttribute('viewBox', `0 0 ${SPARK_WIDTH} ${SPARK_HEIGHT}`);
  svg.setAttribute('aria-hidden', 'true');
  svg.append(line);
  return { svg, line };
}
