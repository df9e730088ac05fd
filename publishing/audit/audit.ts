/**
 * Compares what the stores serve with the raw log, for a sample of keys. Nothing stops for it: each key is checked
 * several times, each time after everything the log held before has passed tasks, hop and sinks. A key counts as
 * different only if it differs every time.
 */
import type { Log } from '../../runtime/log/log.js';
import type { Clock } from '../../runtime/process/clock.js';
import type { Codec } from '../../schemas/codec.js';
import { events } from '../../topics/events.js';
import type { FeatureSet } from '../../topics/feature-set.js';
import { WINDOW_DAYS } from '../../topics/limits.js';
import { type CatalogueView, readCatalogue } from './catalogue.js';
import { compareAffinity, comparePopularityRank, comparePopularityRow, type Known, type Outcome } from './compare.js';
import { compareInteractions } from './compare-interactions.js';
import { Fold, type FoldOptions } from './fold.js';
import { KeptEvents, type SampleOptions } from './kept-events.js';
import { type Artefact, Passage, type Passed, type SinkPositions, Standstill, type StoreName } from './passage.js';
import { recount } from './recount.js';
import { type ReferenceSettings, utcDay } from './reference.js';
import { type AuditReport, REPORTED_MAX, reported, Tally } from './report.js';
import type { Depth, Served } from './served.js';

export interface AuditOptions {
  readonly log: Log;
  readonly codec: Codec;
  readonly clock: Clock;
  readonly served: Served;
  readonly positions: SinkPositions;
  readonly set: FeatureSet;
  /** Fold settings to use until the running state provides its own. */
  readonly settings: Omit<ReferenceSettings, 'partitions'>;
  /** The bounds apply to users and to products separately. */
  readonly sample: SampleOptions;
  /** Share of the time that reading the log may take, 0 to 1. */
  readonly busyShare: number;
  /** How far the stores are searched for keys that the log does not have. */
  readonly depth: Depth;
  /** How long to wait without any progress before giving up on a comparison, ms (default one minute). */
  readonly patienceMs?: number;
  /** Called with the number of records of `events` read. */
  readonly onRead?: (records: number) => void;
}

/** One artefact in one store. */
interface Lane {
  readonly artefact: Artefact;
  readonly tally: Tally;
  /** Keys not yet decided. */
  open: readonly string[];
  /** Their latest outcomes. */
  readonly outcomes: Map<string, Outcome>;
  look(ids: readonly string[]): Promise<(known: Known) => Outcome>;
}

const PATIENCE_MS = 60_000;
const LOOKS = 4;
/** After this look, products that still differ are counted again. */
const RECOUNT_AFTER = 2;
const RECOUNT_MAX = 10_000;
const KEYS_AT_ONCE = 250;
/** Rows not yet swept are compared too, so events are kept for longer than the window. */
const KEPT_DAYS = WINDOW_DAYS + 2;

export class Audit {
  readonly #o: AuditOptions;
  readonly #passage: Passage;
  #fold: Fold | null = null;
  #foldOptions: Omit<FoldOptions, 'users' | 'products' | 'isRelevant'> | null = null;
  #recordsRead = 0;

  constructor(options: AuditOptions) {
    const { log, codec, clock, set, positions, patienceMs = PATIENCE_MS } = options;
    this.#o = options;
    this.#passage = new Passage({ log, codec, clock, set, positions, patienceMs });
  }

  /** Reads the log up to its end at the time of the call. Errors: the log's own; call again to continue. */
  async follow(signal?: AbortSignal): Promise<void> {
    this.#fold ??= await this.#open();
    await this.#fold.catchUp(signal);
  }

  async close(): Promise<void> {
    await this.#fold?.close();
  }

  /** Compares the sample now. Errors: those of log and stores. A stalled pipeline is reported, not thrown. */
  async compare(signal?: AbortSignal): Promise<AuditReport> {
    const started = performance.now();
    const startedAt = this.#o.clock.now();
    await this.follow(signal);
    const fold = this.#fold!;
    let lanes: Lane[] = [];
    let behind: string | null = null;
    try {
      lanes = await this.#lookUntilSure(fold, signal);
    } catch (error) {
      if (!(error instanceof Standstill)) throw error;
      behind = error.message;
    }
    const differences = lanes.flatMap(({ tally }) => tally.differences);
    return {
      started_at: new Date(startedAt).toISOString(),
      duration_seconds: (performance.now() - started) / 1_000,
      sample: {
        salt: this.#o.sample.salt,
        users_share: fold.users.share,
        products_share: fold.products.share,
        users: fold.users.keys,
        products: fold.products.keys,
        events: fold.users.events + fold.products.events,
      },
      records_read: this.#recordsRead,
      compared: lanes.map(({ tally }) => tally.compared()),
      differences: differences.slice(0, REPORTED_MAX).map(reported),
      largest_relative_error: Math.max(0, ...lanes.map(({ tally }) => tally.largestError)),
      behind,
    };
  }

  async #open(): Promise<Fold> {
    const { log, codec, clock, sample, busyShare, onRead } = this.#o;
    const folded = (await this.#passage.foldSettings()) ?? this.#o.settings;
    // An event counts only in the partition that its key belongs to.
    this.#foldOptions = {
      log,
      codec,
      clock,
      settings: { ...folded, partitions: await log.partitionCount(events.name) },
      busyShare,
      firstDay: this.#firstDay(await this.#passage.sweptDayLeast()),
      onRead: (records) => {
        this.#recordsRead += records;
        onRead?.(records);
      },
    };
    return new Fold({
      ...this.#foldOptions,
      users: new KeptEvents('users', sample),
      products: new KeptEvents('products', sample),
    });
  }

  async #lookUntilSure(fold: Fold, signal: AbortSignal | undefined): Promise<Lane[]> {
    let lanes: Lane[] | null = null;
    let sweptDayLeast = 0;
    for (let look = 1; look <= LOOKS; look++) {
      if (look > 1) await fold.catchUp(signal);
      const next = [...fold.next];
      const passed = await this.#passage.passed(next, signal);
      sweptDayLeast = passed.sweptDayLeast;
      lanes ??= await this.#lanes(fold);
      const needed = fold.users.lookedUp();
      const catalogue = await readCatalogue(
        this.#o.log,
        this.#o.codec,
        (product) => fold.products.holds(product) || needed.has(product),
      );
      for (const lane of lanes) await this.#look(lane, fold, { next, passed, catalogue }, signal);
      if (lanes.every(({ open }) => open.length === 0)) break;
      if (look === RECOUNT_AFTER) await this.#recount(fold, lanes, signal);
    }
    fold.forgetBefore(this.#firstDay(sweptDayLeast));
    for (const { tally, open, outcomes } of lanes!) for (const id of open) tally.add(outcomes.get(id)!);
    return lanes!;
  }

  /** The events of rows still to be swept are needed, however old those rows are. */
  #firstDay(sweptDayLeast: number): number {
    return Math.min(utcDay(this.#o.clock.now()), sweptDayLeast) - KEPT_DAYS + 1;
  }

  async #lanes(fold: Fold): Promise<Lane[]> {
    const { served, depth } = this.#o;
    const listing = await served.list(
      { user: (id) => fold.users.holds(id), product: (id) => fold.products.holds(id) },
      depth,
    );
    const products = [...new Set([...fold.products.ids(), ...listing.products.keys()])];
    const users = [...new Set([...fold.users.ids(), ...listing.users])];
    return [
      lane('postgres', 'popularity', products, async (ids) => {
        const rows = await served.popularityRows(ids);
        return (known) => comparePopularityRow(known, rows.get(known.key) ?? null);
      }),
      lane('redis', 'popularity', products, async (ids) => {
        const ranks = await served.popularityRanks(ids, listing.products);
        return (known) => comparePopularityRank(known, ranks.get(known.key)!);
      }),
      lane('postgres', 'affinity', users, async (ids) => {
        const rows = await served.affinityRows(ids);
        return (known) => compareAffinity(known, 'postgres', rows.get(known.key) ?? null);
      }),
      lane('redis', 'affinity', users, async (ids) => {
        const hashes = await served.affinityHashes(ids);
        return (known) => compareAffinity(known, 'redis', hashes.get(known.key) ?? null);
      }),
      lane('redis', 'interactions', users, async (ids) => {
        const rows = await served.interactions(ids);
        return (known) => compareInteractions(known, rows.get(known.key) ?? null);
      }),
    ];
  }

  /** Checks the open keys of a lane; those that differ or are undecided stay open. */
  async #look(lane: Lane, fold: Fold, moment: Moment, signal: AbortSignal | undefined): Promise<void> {
    const open: string[] = [];
    const kept = lane.artefact === 'popularity' ? fold.products : fold.users;
    for (let at = 0; at < lane.open.length; at += KEYS_AT_ONCE) {
      const ids = lane.open.slice(at, at + KEYS_AT_ONCE);
      const compare = await lane.look(ids);
      // By now, the rows may contain everything up to the current end of the log.
      await fold.catchUp(signal);
      const isHeld = await this.#passage.stillHeld(moment.passed);
      for (const id of ids) {
        // The sample may have shrunk in the meantime.
        if (!kept.holds(id)) continue;
        const outcome: Outcome = isHeld ? compare(this.#known(id, lane.artefact, fold, moment)) : { kind: 'undecided' };
        if (outcome.kind === 'different' || outcome.kind === 'undecided') {
          open.push(id);
          lane.outcomes.set(id, outcome);
        } else lane.tally.add(outcome);
      }
    }
    lane.open = open;
  }

  #known(key: string, artefact: Artefact, fold: Fold, { next, passed, catalogue }: Moment): Known {
    const kept = artefact === 'popularity' ? fold.products : fold.users;
    const { popularityHalfLifeMs, affinityHalfLifeMs } = this.#foldOptions!.settings;
    return {
      key,
      events: kept.of(key),
      erasedAt: kept.erasedAt(key),
      next,
      firstDay: fold.firstDay,
      now: this.#o.clock.now(),
      halfLifeMs: artefact === 'popularity' ? popularityHalfLifeMs : affinityHalfLifeMs,
      catalogue,
      passed,
    };
  }

  async #recount(fold: Fold, lanes: readonly Lane[], signal: AbortSignal | undefined): Promise<void> {
    if (fold.users.isAll) return;
    const products = lanes.flatMap(({ artefact, open, outcomes }) =>
      artefact === 'popularity' ? open.filter((id) => outcomes.get(id)!.kind === 'different') : [],
    );
    if (products.length === 0) return;
    await recount(fold, new Set(products.slice(0, RECOUNT_MAX)), this.#foldOptions!, signal);
  }
}

interface Moment {
  readonly next: readonly number[];
  readonly passed: Passed;
  readonly catalogue: CatalogueView;
}

function lane(store: StoreName, artefact: Artefact, open: readonly string[], look: Lane['look']): Lane {
  return { artefact, open, look, tally: new Tally(store, artefact), outcomes: new Map() };
}
