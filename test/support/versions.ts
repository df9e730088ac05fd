/** Versions and runs for tests of serving and commands: a small in-memory world that honours the promises of the ports. */
import type { Run, Runs } from '../../jobs/runs.js';
import type { Artefact } from '../../publishing/layout.js';
import type { Manifest } from '../../publishing/versions/manifest.js';
import type { VersionEntry, VersionList, VersionState } from '../../publishing/versions/versions.js';
import { FreshetError } from '../../runtime/process/errors.js';
import type { VersionSwitch } from '../../serving/ports.js';

const AT = Date.UTC(2025, 5, 1, 2);
const DAY_MS = 86_400_000;

/** A manifest like those of stopwords. */
export function manifestOf(runId: string, createdMs: number): Manifest {
  return {
    artefact: 'stopwords',
    run_id: runId,
    created_at: new Date(createdMs).toISOString(),
    code_version: '1.0.0',
    inputs: [{ topic: 'terms', partition: 0, from: 0, to: 512, at: new Date(createdMs).toISOString() }],
    settings: { STOPWORDS_WORDS_MAX: 3000 },
    counts: { words: 1_234, languages: 2, documents: 2_200 },
    figures: { by_language: { en: 700, de: 534 } },
    checks: [
      { name: 'count', passed: true, figure: 1_234, sentence: '1,234 words, at least 1 is required.' },
      { name: 'range', passed: true, figure: 1, sentence: 'All confidences are between 0 and 1.' },
    ],
    files: [{ name: 'stopwords.jsonl', bytes: 90_000, sha256: 'ab'.repeat(32) }],
  };
}

interface Known {
  readonly entries: VersionEntry[];
  pinned: number | null;
  /** Versions that were current, in order; the last one is. */
  readonly course: number[];
}

/** Three versions of stopwords, of which the third is current and the first reaped; one of popularity. */
export class FakeVersions implements VersionSwitch {
  readonly asked: string[] = [];
  failure: Error | null = null;
  readonly #known = new Map<Artefact, Known>();

  constructor() {
    const entry = (version: number, state: VersionState, reaped = false): VersionEntry => ({
      version,
      state,
      created_at: new Date(AT + version * DAY_MS),
      activated_at: state === 'verified' ? null : new Date(AT + version * DAY_MS + 1_000),
      reaped,
      manifest: manifestOf(`run-${version}`, AT + version * DAY_MS),
    });
    this.#known.set('stopwords', {
      entries: [entry(3, 'current'), entry(2, 'retired'), entry(1, 'retired', true)],
      pinned: null,
      course: [1, 2, 3],
    });
    this.#known.set('popularity', {
      entries: [{ ...entry(1, 'current'), manifest: {} }],
      pinned: null,
      course: [1],
    });
  }

  /** As if a run had published. */
  publish(artefact: Artefact, version: number): void {
    const known = this.#known.get(artefact)!;
    const at = AT + version * DAY_MS;
    known.entries.unshift({
      version,
      state: 'verified',
      created_at: new Date(at),
      activated_at: null,
      reaped: false,
      manifest: manifestOf(`run-${version}`, at),
    });
    if (known.pinned === null) this.#switch(artefact, version);
  }

  async list(artefact: Artefact): Promise<VersionList> {
    if (this.failure !== null) throw this.failure;
    const { entries = [], pinned = null, course = [] } = this.#known.get(artefact) ?? {};
    return {
      artefact,
      current: course.at(-1) ?? null,
      candidate: null,
      share: 0,
      pinned,
      versions: [...entries],
    };
  }

  promote(artefact: Artefact, version?: number): Promise<VersionList> {
    this.asked.push(`promote ${artefact} ${version ?? 'newest'}`);
    const newest = this.#known.get(artefact)?.entries.find(({ state }) => state === 'verified')?.version;
    return this.#to(artefact, version ?? newest, 'There is no verified version to promote.');
  }

  rollback(artefact: Artefact, options: { to?: number; reason?: string } = {}): Promise<VersionList> {
    this.asked.push(`rollback ${artefact} ${options.to ?? 'previous'}${options.reason ? `: ${options.reason}` : ''}`);
    const previous = this.#known.get(artefact)?.course.at(-2);
    return this.#to(artefact, options.to ?? previous, `There is no earlier version of ${artefact} to go back to.`);
  }

  async pin(artefact: Artefact, version: number | null): Promise<VersionList> {
    this.asked.push(`pin ${artefact} ${version ?? 'none'}`);
    if (version !== null) await this.#to(artefact, version, '');
    const known = this.#known.get(artefact);
    if (known !== undefined) known.pinned = version;
    return this.list(artefact);
  }

  #to(artefact: Artefact, version: number | undefined, none: string): Promise<VersionList> {
    const found = this.#known.get(artefact)?.entries.find((entry) => entry.version === version);
    if (this.failure !== null) return Promise.reject(this.failure);
    if (version === undefined) return Promise.reject(new FreshetError('state', none));
    if (found === undefined || found.reaped)
      return Promise.reject(new FreshetError('state', `Version ${version} of ${artefact} has no data left.`));
    this.#switch(artefact, version);
    return this.list(artefact);
  }

  #switch(artefact: Artefact, version: number): void {
    const { entries, course } = this.#known.get(artefact)!;
    for (const [index, entry] of entries.entries()) {
      if (entry.version === version) entries[index] = { ...entry, state: 'current', activated_at: new Date(AT) };
      else if (entry.state === 'current') entries[index] = { ...entry, state: 'retired' };
    }
    course.push(version);
  }
}

/** Runs of one job, set by a test. */
export class FakeRuns implements Runs {
  readonly jobs = ['stopwords'];
  readonly known: Run[] = [];
  readonly asked: { job: string; dryRun: boolean; by: string }[] = [];

  async request(job: string, options: { dryRun: boolean; by: string }): Promise<Run> {
    if (!this.jobs.includes(job)) throw new FreshetError('invalid_data', `There is no job ${job}.`);
    this.asked.push({ job, ...options });
    const run = runOf({ run_id: `run-${this.known.length + 1}`, job_name: job, dry_run: options.dryRun });
    this.known.unshift(run);
    return run;
  }

  async get(runId: string): Promise<Run | null> {
    return this.known.find(({ run_id }) => run_id === runId) ?? null;
  }

  async latest(job: string, limit: number): Promise<readonly Run[]> {
    return this.known.filter(({ job_name }) => job_name === job).slice(0, limit);
  }

  /** Advances the newest run. */
  advance(change: Partial<Run>): void {
    const { run_id } = this.known[0]!;
    this.known[0] = { ...this.known[0]!, ...change, run_id };
  }
}

export const SUMMARY = [
  'Read terms: 2,200 documents in 0.4 s.',
  'Candidates: 5,120 words in 2 languages.',
  'Compared with version 3: 12 added, 3 removed, 40 changed.',
  'Would publish 1,243 words.',
];

export function runOf(change: Partial<Run> = {}): Run {
  return {
    run_id: 'run-1',
    job_name: 'stopwords',
    status: 'queued',
    attempt: 1,
    dry_run: false,
    requested_at: new Date(AT),
    started_at: null,
    finished_at: null,
    progress: null,
    result: null,
    ...change,
  };
}

/** A run that has built version 4. */
export function succeeded(change: Partial<Run> = {}): Run {
  return runOf({
    status: 'succeeded',
    started_at: new Date(AT + 100),
    finished_at: new Date(AT + 1_600),
    result: {
      success: true,
      duration_seconds: 1.5,
      documents_processed: 2_200,
      stopwords_updated: 1_243,
      version: 4,
      summary: SUMMARY,
      errors: [],
      timestamp: new Date(AT + 1_600).toISOString(),
    },
    ...change,
  });
}
