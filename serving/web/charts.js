/** Live line charts that take their colours from the style sheet, also when the theme changes. */
import { shortTime } from './format.js';
import uPlot from './uPlot.esm.js';

const WINDOW_SECONDS = 300;
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
 * `legend`: a list that shows the newest values, or those under the pointer. Returns { push(atMs, values) }.
 */
export function liveChart(element, { series, format, legend = null, height = 150, bare = false, floor = 1 }) {
  const data = [[], ...series.map(() => [])];
  const items = legend === null ? [] : series.map((one) => legendItem(legend, one));
  const axis = { stroke: () => color('--ink-2'), font: '12px system-ui, sans-serif', ticks: { show: false }, gap: 6 };
  const plot = new uPlot(
    {
      width: Math.max(80, element.clientWidth),
      height,
      padding: bare ? [8, 0, 0, 0] : [8, 4, 0, 0],
      legend: { show: false },
      cursor: {
        show: legend !== null,
        y: false,
        drag: { x: false, y: false },
        points: { show: false },
      },
      scales: {
        x: { time: true, range: () => [Date.now() / 1000 - WINDOW_SECONDS, Date.now() / 1000] },
        y: { range: (_plot, _min, max) => [0, Math.max(floor, max ?? 0) * 1.15] },
      },
      axes: bare
        ? [{ show: false }, { show: false }]
        : [
            { ...axis, size: 24, space: 90, grid: { show: false }, values: (_plot, ticks) => ticks.map(ago) },
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

  function showValues(index) {
    const at = index ?? data[0].length - 1;
    for (const [i, item] of items.entries()) item.textContent = format(data[i + 1][at] ?? Number.NaN);
  }

  return {
    /** Null for a value that is not known. */
    push(atMs, values) {
      const last = data[0].at(-1);
      // A page that slept has a hole in its line, not a bridge over it.
      if (last !== undefined && atMs / 1000 - last > 10) append((atMs + last * 1000) / 2000, values.map(() => null));
      append(atMs / 1000, values);
      plot.setData(data);
      showValues(plot.cursor.idx);
    },
    clear() {
      for (const column of data) column.length = 0;
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

function gradient(plot, tint) {
  const { top, height } = plot.bbox;
  const fill = plot.ctx.createLinearGradient(0, top, 0, top + height);
  fill.addColorStop(0, tint);
  fill.addColorStop(1, 'transparent');
  return fill;
}

function ago(second) {
  const ms = Date.now() - second * 1000;
  return ms < 8_000 ? 'now' : `−${shortTime(Math.round(ms / 30_000) * 30_000)}`;
}
