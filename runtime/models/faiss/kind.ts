/** The kind of index for a number of products. */
import { FreshetError } from '../../process/errors.js';
import { howToGetFaiss } from './how-to-get.js';
import type { Engine, IndexKind } from './vector-index.js';

/** Below this, comparing with every vector takes no longer than walking a graph. */
export const HNSW_FROM = 20_000;
/** Above this, the links of a graph cost more memory and time than they gain. */
const IVF_FROM = 500_000;

interface Chosen {
  readonly kind: IndexKind;
  /** A warning for the log about the choice; null if none. */
  readonly warning: string | null;
}

/** Errors: 'settings' if FAISS_INDEX requires an index that this machine cannot build. */
export function chooseKind(setting: 'auto' | IndexKind, count: number, engine: Engine): Chosen {
  const bySize: IndexKind = count < HNSW_FROM ? 'flat' : count < IVF_FROM ? 'hnsw' : 'ivf';
  const wanted = setting === 'auto' ? bySize : setting;
  if (wanted === 'flat' || engine === 'native') return { kind: wanted, warning: null };
  if (setting !== 'auto')
    throw new FreshetError(
      'settings',
      `FAISS_INDEX=${setting} needs FAISS's native module, which is not installed: run "${howToGetFaiss()}", or leave FAISS_INDEX unset.`,
    );
  return {
    kind: 'flat',
    warning:
      `FAISS's native module is not installed: ${count} products get a flat index that is searched exactly, which takes ` +
      `longer with every product. "${howToGetFaiss()}" installs the module, which allows an index of kind ${bySize}.`,
  };
}

/** The initial efSearch or nprobe, and the largest that is tried to reach the required recall. */
export function breadths(kind: IndexKind, lists: number | null, settings: BreadthSettings): number[] {
  if (kind === 'flat') return [];
  const given = kind === 'hnsw' ? settings.FAISS_EF_SEARCH : settings.FAISS_NPROBE;
  const most = kind === 'hnsw' ? EF_SEARCH_MAX : lists!;
  if (given !== undefined) return [kind === 'ivf' ? Math.min(given, most) : given];
  const tried: number[] = [];
  const first = kind === 'hnsw' ? EF_SEARCH : Math.max(NPROBE_MIN, Math.round(lists! / LISTS_PER_PROBE));
  for (let breadth = Math.min(first, most); ; breadth = Math.min(breadth * 2, most)) {
    tried.push(breadth);
    if (breadth === most) return tried;
  }
}

type BreadthSettings = Readonly<Partial<Record<'FAISS_EF_SEARCH' | 'FAISS_NPROBE', number | undefined>>>;

/** Measured at 100 K × 384: recall@10 of 0.98. */
const EF_SEARCH = 64;
const EF_SEARCH_MAX = 1024;
const NPROBE_MIN = 8;
const LISTS_PER_PROBE = 32;
