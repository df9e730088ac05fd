/**
 * The folder of the current version of an artefact that is read from files, for whoever keeps it loaded: looked for
 * several times a second, told by a callback that loads the new one beside the old. What could not be loaded is tried
 * again, and the old one stays meanwhile.
 */
import type { Clock } from '../../runtime/process/clock.js';
import { FreshetError, messageOf } from '../../runtime/process/errors.js';
import type { Logger } from '../../runtime/process/logger.js';
import type { Service } from '../../runtime/process/service.js';
import { artifactsFolder, type Settings } from '../../runtime/process/settings.js';
import { Artifacts } from '../../runtime/stores/artifacts.js';
import type { Queryable } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { Layout } from '../layout.js';
import { MANIFEST_FILE, type Manifest } from '../versions/manifest.js';
import { pinnedBy } from '../versions/pins.js';
import { Pointer } from './pointer.js';

/** Artefacts whose readers keep files of a version loaded. */
export type FolderArtefact = 'als' | 'faiss';

export interface CurrentFolder {
  readonly artefact: FolderArtefact;
  readonly version: number;
  /** Absolute. It stays for 24 hours after another version has taken its place. */
  readonly folder: string;
  readonly manifest: Manifest;
}

/** Resolves when it is loaded. Rejected, it is called again a little later, with the version that is current then. */
export type FolderChanged = (current: CurrentFolder) => void | Promise<void>;

export interface CurrentFoldersOptions {
  readonly store: OnlineStore;
  readonly database: Queryable;
  /** REDIS_KEY_PREFIX, the folder of artefacts, FEATURE_VERSION_*. */
  readonly settings: Settings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Between two looks, ms. Default 250. */
  readonly checkMs?: number;
}

const CHECK_MS = 250;
/** After a load that failed, ms. */
const RETRY_MS = 2_000;

export class CurrentFolders implements Service {
  readonly name = 'current folders';
  readonly #o: CurrentFoldersOptions;
  readonly #layout: Layout;
  readonly #artifacts: Artifacts;
  readonly #followed: Followed[] = [];
  #stopping = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: CurrentFoldersOptions) {
    this.#o = options;
    this.#layout = new Layout(options.settings.REDIS_KEY_PREFIX);
    this.#artifacts = new Artifacts(artifactsFolder(options.settings));
  }

  /** Before start: from then on `changed` is told of each version that becomes current, one call after the other. */
  follow(artefact: FolderArtefact, changed: FolderChanged): void {
    const { store, database, settings } = this.#o;
    const pinned = pinnedBy(settings)[artefact] ?? null;
    const pointer = new Pointer(artefact, store, database, this.#layout, pinned);
    this.#followed.push({ artefact, changed, pointer, current: null, failing: null });
  }

  /** What was loaded last; null before the first. */
  currentFolder(artefact: FolderArtefact): CurrentFolder | null {
    return this.#followed.find((one) => one.artefact === artefact)?.current ?? null;
  }

  /** Begins; it waits for no load. */
  async start(): Promise<void> {
    this.#stopping = new AbortController();
    const { signal } = this.#stopping;
    this.#running = Promise.all(this.#followed.map((one) => this.#run(one, signal)));
  }

  /** Resolves once a load that is under way has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(one: Followed, signal: AbortSignal): Promise<void> {
    const { clock, checkMs = CHECK_MS } = this.#o;
    while (!signal.aborted) {
      const well = await this.#look(one);
      await clock.sleep(well ? checkMs : RETRY_MS, signal);
    }
  }

  async #look(one: Followed): Promise<boolean> {
    const { logger } = this.#o;
    const { artefact } = one;
    try {
      const version = await one.pointer.version();
      if (version === null || version === one.current?.version) return true;
      const current = await this.#open(artefact, version);
      await one.changed(current);
      one.current = current;
      one.failing = null;
      logger.info({ event: 'version_loaded', artefact, version }, 'Another version is read from now on');
      return true;
    } catch (error) {
      const text = messageOf(error);
      // Once per trouble: it is tried every two seconds.
      if (one.failing !== text)
        logger.error({ event: 'version_not_loaded', artefact, error: text }, 'The one before is read; trying again');
      one.failing = text;
      return false;
    }
  }

  async #open(artefact: FolderArtefact, version: number): Promise<CurrentFolder> {
    const text = await this.#artifacts.text(artefact, version, MANIFEST_FILE);
    let manifest: Manifest;
    try {
      manifest = JSON.parse(text) as Manifest;
    } catch {
      throw new FreshetError('invalid_data', `${MANIFEST_FILE} of ${artefact} version ${version} is no JSON.`);
    }
    return { artefact, version, folder: this.#artifacts.folder(artefact, version), manifest };
  }
}

interface Followed {
  readonly artefact: FolderArtefact;
  readonly changed: FolderChanged;
  readonly pointer: Pointer;
  current: CurrentFolder | null;
  /** What went wrong the last time. */
  failing: string | null;
}
