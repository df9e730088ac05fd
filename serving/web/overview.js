/** The figures of the system: state, rate, freshness, lag, intake, and its components. */
import { call, poll } from './api.js';
import { liveChart } from './charts.js';
import { count, longTime, score, shortTime } from './format.js';
import { healthOf } from './health.js';
import { byId, setText } from './page.js';

const INTERVAL_MS = 1_000;
/** As much of the past as the charts show. */
const HISTORY_MS = 300_000;
const STEPS = ['activity', 'popularity', 'corpus', 'embeddings', 'redis', 'postgres'];
const STORES = ['redis', 'postgres'];
const NAMES = {
  activity: 'Activity',
  popularity: 'Popularity',
  corpus: 'Documents',
  embeddings: 'Embeddings',
  redis: 'To the online store',
  postgres: 'To the database',
};
const STORE_NAMES = { redis: 'Online store', postgres: 'Database' };
const COLORS = {
  activity: '--accent',
  popularity: '--amber',
  corpus: '--blue',
  embeddings: '--ink-2',
  redis: '--violet',
  postgres: '--rose',
};
/** One answer that is missing may be chance; the second is a state. */
const MISSES = 2;

/** Names of the components in the API, and the names that people use. */
const PARTS = {
  embedded: 'embedded log',
  kafka: 'Kafka',
  redis: 'Redis',
  local: 'in this process',
  private: 'private Postgres',
  url: 'Postgres',
};

/** Instead of figures that only another process has. */
const ELSEWHERE = 'not known here';

/** `onDemo(isDemo)`: known at the first answer. */
export function startOverview({ onDemo }) {
  const flow = liveChart(byId('flow-chart'), {
    series: [{ label: 'events per second', color: '--flow', fill: '--flow-wash' }],
    format: score,
    height: 96,
    bare: true,
    floor: 5,
  });
  const freshness = liveChart(byId('freshness-chart'), {
    series: STORES.map((store) => ({ label: STORE_NAMES[store], color: COLORS[store] })),
    format: shortTime,
    legend: byId('freshness-legend'),
    floor: 200,
  });
  const lag = liveChart(byId('lag-chart'), {
    series: STEPS.map((step) => ({ label: NAMES[step], color: COLORS[step] })),
    format: count,
    legend: byId('lag-legend'),
    floor: 10,
  });
  call('/v1/overview/history')
    .then(({ samples }) => showHistory(samples))
    .catch(() => undefined);
  let isDemo = null;
  let misses = 0;
  let readiness = null;
  poll(update, INTERVAL_MS);

  async function update() {
    const [overview, health] = await Promise.all([
      call('/v1/overview').catch(() => null),
      readiness?.status === 'ready' ? readiness : call('/health/ready', { accept: [503] }).catch(() => null),
    ]);
    // The flood at a start (a loaded history, a log being caught up) would flatten everything after it.
    if (readiness?.status === 'waiting' && health?.status === 'ready')
      for (const chart of [flow, freshness, lag]) chart.restart([]);
    readiness = overview === null ? null : health;
    misses = overview === null ? misses + 1 : 0;
    if (overview === null) {
      if (misses >= MISSES) showState(null);
      return;
    }
    showState(overview);
    if (isDemo !== overview.demo) {
      isDemo = overview.demo;
      onDemo(isDemo);
    }
    const now = Date.now();
    flow.push(now, [overview.events.rate_per_second]);
    freshness.push(
      now,
      STORES.map((store) => overview.freshness_ms?.[store] ?? null),
    );
    lag.push(
      now,
      STEPS.map((step) => overview.lag[step]),
    );
    showFigures(overview);
  }

  /** What the server remembers, before the first figures of its own. */
  function showHistory(samples) {
    const since = Date.now() - HISTORY_MS;
    const shown = samples.map((sample) => [Date.parse(sample.at), sample]).filter(([at]) => at > since);
    flow.begin(shown.map(([at, { rate_per_second }]) => [at, [rate_per_second]]));
    freshness.begin(shown.map(([at, { freshness_ms }]) => [at, STORES.map((store) => freshness_ms?.[store] ?? null)]));
    lag.begin(shown.map(([at, sample]) => [at, STEPS.map((step) => sample.lag[step])]));
  }

  function showState(overview) {
    const { state, text } = healthOf(overview, readiness);
    byId('state').dataset.state = state;
    document.body.classList.toggle('unreachable', state === 'unreachable');
    setText(byId('state-text'), text);
  }
}

function showFigures({ events, freshness_ms, intake, mode, uptime_seconds, demo }) {
  setText(byId('rate'), score(events.rate_per_second));
  setText(byId('freshness'), freshness_ms === null ? ELSEWHERE : shortTime(freshness_ms.redis ?? Number.NaN));
  setText(byId('total'), count(events.total));
  for (const outcome of ['counted', 'duplicate', 'late', 'dead_letter'])
    setText(byId(`intake-${outcome}`), intake === null ? ELSEWHERE : count(intake[outcome]));
  for (const [part, value] of Object.entries(mode)) {
    const cell = document.getElementById(`mode-${part}`);
    if (cell !== null) setText(cell, PARTS[value] ?? value);
  }
  setText(byId('uptime'), longTime(uptime_seconds));
  byId('demo-note').hidden = !demo;
}
