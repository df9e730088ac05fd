/** A bench and its reports: figures with their units, and targets for some of them. */

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly aim?: { readonly atLeast: number } | { readonly atMost: number };
}

export interface Report {
  /** One line about the measurement and its sizes. */
  readonly title: string;
  readonly figures: readonly Figure[];
  readonly notes: readonly string[];
}

export interface BenchOptions {
  /** Null: the bench's own size. */
  readonly events: number | null;
  readonly users: number | null;
  readonly products: number | null;
  readonly seed: number;
  /** Events per second; null: the bench determines it. */
  readonly rate: number | null;
  /** Also runs the peer, if there is one. */
  readonly peer: boolean;
  /** Also runs on real Kafka, in benches that do so only on request. */
  readonly kafka: boolean;
  /** Reports progress, on standard error. */
  readonly say: (line: string) => void;
}

export interface Bench {
  readonly name: string;
  readonly what: string;
  run(options: BenchOptions): Promise<Report[]>;
}

export function reaches({ value, aim }: Figure): boolean | null {
  if (aim === undefined) return null;
  return 'atLeast' in aim ? value >= aim.atLeast : value <= aim.atMost;
}
