/** What a bench is and what it says: figures with their units, and the aim beside those that have one. */

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly aim?: { readonly atLeast: number } | { readonly atMost: number };
}

export interface Report {
  /** What was measured, with its sizes, in a line. */
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
  /** Events per second; null: what the bench finds out. */
  readonly rate: number | null;
  /** Runs the peer too, where there is one. */
  readonly peer: boolean;
  /** Runs on real Kafka too, where that is asked for only. */
  readonly kafka: boolean;
  /** Says what is going on; goes to standard error. */
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
