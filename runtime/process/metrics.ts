/**
 * How metrics are declared and created. Each room declares its own set next to what it measures; code passes one
 * `Metrics` around and gets its set for that process from it.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** The metrics of one process; tests make their own. */
export interface Metrics {
  readonly registry: Registry;
}

/** Returns the metrics of a room in one process; they are created on first use. */
export type MetricSet<T = unknown> = (metrics: Metrics) => T;

/** Buckets for what takes between some milliseconds and a minute. */
export const SECONDS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 15, 60];

/** A new registry with the metrics of Node and all declared ones. Throws where two have the same name. */
export function createMetrics(declared: readonly MetricSet[] = []): Metrics {
  const metrics = { registry: new Registry() };
  collectDefaultMetrics({ register: metrics.registry });
  for (const set of declared) set(metrics);
  return metrics;
}

/** The metrics of one room: `make` is called once for each process. */
export function declareMetrics<T>(make: (maker: MetricMaker) => T): MetricSet<T> {
  const made = new WeakMap<Metrics, T>();
  return (metrics) => {
    const set = made.get(metrics) ?? make(new MetricMaker(metrics.registry));
    made.set(metrics, set);
    return set;
  };
}

class MetricMaker {
  readonly #registers: Registry[];

  constructor(registry: Registry) {
    this.#registers = [registry];
  }

  counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter<L>({ name, help, labelNames: [...labelNames], registers: this.#registers });
  }

  /** A counter whose value is kept elsewhere. */
  counted(name: string, help: string, value: () => number): Counter<never> {
    return new Counter<never>({
      name,
      help,
      registers: this.#registers,
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  }

  gauge<L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> {
    return new Gauge<L>({ name, help, labelNames: [...labelNames], registers: this.#registers });
  }

  histogram<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    buckets: readonly number[],
  ): Histogram<L> {
    return new Histogram<L>({
      name,
      help,
      labelNames: [...labelNames],
      buckets: [...buckets],
      registers: this.#registers,
    });
  }
}
