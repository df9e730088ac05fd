/** Live line charts that take their colours from the style sheet, even when the theme changes. */
import uPlot from './uPlot.esm.js';

/** The window grows with the data. */
const WINDOW_SECONDS_MIN = 60;
const WINDOW_SECONDS_MAX = 300;
const POINTS_MAX = 1200;

const dark = matchMedia('(prefers-color-scheme: dark)');
const charts = new Set();
dark.addEventListener('change', () => {
  for (const chart of charts) chart.redraw();
});

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/**
 * Draws into `element`. `series`: [{ label, color: '--css-variable', fill? }]; `format` turns a value into text;
 * `legend`: a list that shows the newest values, or those under the pointer; `zoom`: the scale follows the values
 * instead of starting at 0. Returns { push(atMs, values), restart(points) }.
 */
export function liveChart(
  element,
  { series, format, legend = null, height = 150, bare = false, zoom = false, floor = 1 },
) {
  const data = [[], ...series.map(() => [])];
  const items = legend === null ? [] : series.map((one) => legendItem(legend, one));
  const axis = { stroke: () => color('--ink-2'), font: '12px system-ui, sans-serif', ticks: { show: false }, gap: 6 };
  const plot = new uPlot(
    {
      width: Math.max(80, element.clientWidth),
      height,
      // The last label on the axis of time is centred on its tick: half of it needs room.
      padding: bare ? [8, 0, 0, 0] : [8, 20, 0, 0],
      legend: { show: false },
      cursor: {
        show: legend !== null,
        y: false,
        drag: { x: false, y: false },
        points: { show: false },
      },
      scales: {
        x: { time: true, range: shownTime },
        y: { range: (_plot, min, max) => (zoom ? around(min, max) : [0, Math.max(floor, top(max ?? 0)) * 1.15]) },
      },
      axes: bare
        ? [{ show: false }, { show: false }]
        : [
            {
              ...axis,
              size: 24,
              space: 70,
              incrs: [15, 30, 60, 120],
              grid: { show: false },
              values: (_plot, ticks) => ticks.map(timeOfDay),
            },
            {
              ...axis,
              size: 58,
              space: 36,
              grid: { stroke: () => color('--line'), width: 1 },
              values: (_plot, ticks) => ticks.map(format),
            },
          ],
      series: [
        {},
        ...series.map((one) => ({
          stroke: () => color(one.color),
          width: bare ? 2 : 1.75,
          fill: one.fill ? (plotted) => gradient(plotted, color(one.fill)) : undefined,
          points: { show: false },
          spanGaps: false,
        })),
      ],
      hooks: { setCursor: [(plotted) => showValues(plotted.cursor.idx)] },
    },
    data,
    element,
  );
  charts.add(plot);
  new ResizeObserver(() => plot.setSize({ width: Math.max(80, element.clientWidth), height })).observe(element);

  function shownTime() {
    const now = Date.now() / 1000;
    const span = Math.min(WINDOW_SECONDS_MAX, Math.max(WINDOW_SECONDS_MIN, now - (data[0][0] ?? now)));
    return [now - span, now];
  }

  /** A single peak, ten times the usual value, may be cut off: the rest matters more. */
  function top(max) {
    const sorted = data[1].filter((value) => value !== null).sort((a, b) => a - b);
    const usual = sorted[sorted.length >> 1] ?? max;
    return series.length === 1 && usual > 0 ? Math.min(max, 10 * usual) : max;
  }

  function showValues(index) {
    const at = index ?? data[0].length - 1;
    for (const [i, item] of items.entries()) item.textContent = format(data[i + 1][at] ?? Number.NaN);
  }

  return {
    /** Null for an unknown value. */
    push(atMs, values) {
      const last = data[0].at(-1);
      // After the page slept, the line has a gap instead of bridging it.
      if (last !== undefined && atMs / 1000 - last > 10)
        append(
          (atMs + last * 1000) / 2000,
          values.map(() => null),
        );
      append(atMs / 1000, values);
      plot.setData(data);
      showValues(plot.cursor.idx);
    },
    /** Puts earlier points, oldest first, before those that are there. */
    begin(points) {
      const rest = data.map((column) => [...column]);
      const earlier = points.filter(([atMs]) => rest[0].length === 0 || atMs / 1000 < rest[0][0]);
      for (const column of data) column.length = 0;
      for (const [atMs, values] of earlier) append(atMs / 1000, values);
      for (let i = 0; i < rest[0].length; i++)
        append(
          rest[0][i],
          rest.slice(1).map((column) => column[i]),
        );
      plot.setData(data);
    },
    /** Starts over with these points, oldest first: [atMs, values]. */
    restart(points) {
      for (const column of data) column.length = 0;
      for (const [atMs, values] of points) append(atMs / 1000, values);
      plot.setData(data);
    },
  };

  function append(at, values) {
    data[0].push(at);
    for (const [i, value] of values.entries()) data[i + 1].push(value);
    if (data[0].length > POINTS_MAX) for (const column of data) column.shift();
  }
}

function legendItem(list, { label, color: name }) {
  const item = document.createElement('li');
  item.style.setProperty('--key', `var(${name})`);
  const value = document.createElement('b');
  item.append(label, ' ', value);
  list.append(item);
  return value;
}

/** Enough range to show a single purchase, and to keep noise small. */
function around(min, max) {
  const [low, high] = [min ?? 0, max ?? 1];
  const span = Math.max(high - low, 0.02 * high, 8);
  const middle = (low + high) / 2;
  return [Math.max(0, middle - 0.6 * span), middle + 0.6 * span];
}

function gradient(plot, tint) {
  const { top, height } = plot.bbox;
  const fill = plot.ctx.createLinearGradient(0, top, 0, top + height);
  fill.addColorStop(0, tint);
  fill.addColorStop(1, 'transparent');
  return fill;
}

/** Local time; with seconds only where they matter. */
function timeOfDay(second) {
  const text = new Date(second * 1000).toLocaleTimeString('en-GB');
  return second % 60 === 0 ? text.slice(0, 5) : text.slice(5);
}
