/**
 * The folder of the current version of an artefact that is read from files, for readers that keep it loaded. It is
 * checked several times a second; a callback loads each new version alongside the old one. A failed load is retried,
 * and the old version stays in use meanwhile.
 */
import type { Clock } from '../../runtime/process/clock.js';
import { FreshetError, messageOf } from '../../runtime/process/errors.js';
import type { Logger } from '../../runtime/process/logger.js';
import type { Service } from '../../runtime/process/service.js';
import { Artifacts } from '../../runtime/stores/artifacts.js';
import type { Queryable } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { artifactsFolder } from '../../runtime/stores/settings.js';
import { Layout } from '../layout.js';
import type { PublishingSettings } from '../settings.js';
import { MANIFEST_FILE, type Manifest } from '../versions/manifest.js';
import { pinnedBy } from '../versions/pins.js';
import { Pointer } from './pointer.js';

/** Artefacts whose readers keep files of a version loaded. */
type FolderArtefact = 'als' | 'faiss';

export interface CurrentFolder {
  readonly artefact: FolderArtefact;
  readonly version: number;
  /** Absolute. The folder stays for 24 hours after another version has replaced this one. */
  readonly folder: string;
  readonly manifest: Manifest;
}

/** Resolves when it is loaded. If rejected, it is called again a little later, with the version current then. */
type FolderChanged = (current: CurrentFolder) => void | Promise<void>;

interface CurrentFoldersOptions {
  readonly store: OnlineStore;
  readonly database: Queryable;
  /** REDIS_KEY_PREFIX, the folder of artefacts, FEATURE_VERSION_*. */
  readonly settings: PublishingSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Time between two checks, ms. Default 250. */
  readonly checkMs?: number;
}

const CHECK_MS = 250;
/** Wait after a failed load, ms. */
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

  /** Call before start: from then on `changed` is called with each version that becomes current, one call at a time. */
  follow(artefact: FolderArtefact, changed: FolderChanged): void {
    const { store, database, settings } = this.#o;
    const pinned = pinnedBy(settings)[artefact] ?? null;
    const pointer = new Pointer(artefact, store, database, this.#layout, pinned);
    this.#followed.push({ artefact, changed, pointer, current: null, failing: null });
  }

  /** The version last loaded; null before the first. */
  currentFolder(artefact: FolderArtefact): CurrentFolder | null {
    return this.#followed.find((one) => one.artefact === artefact)?.current ?? null;
  }

  /** Begins without waiting for a load. */
  async start(): Promise<void> {
    this.#stopping = new AbortController();
    const { signal } = this.#stopping;
    this.#running = Promise.all(this.#followed.map((one) => this.#run(one, signal)));
  }

  /** Resolves once a load under way has ended. */
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
      logger.info({ event: 'version_loaded', artefact, version }, 'Now reading another version');
      return true;
    } catch (error) {
      const text = messageOf(error);
      // Log each problem once: the load is retried every two seconds.
      if (one.failing !== text)
        logger.error(
          { event: 'version_not_loaded', artefact, error: text },
          'Still reading the previous version; retrying',
        );
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
      throw new FreshetError('invalid_data', `${MANIFEST_FILE} of ${artefact} version ${version} is not valid JSON.`);
    }
    return { artefact, version, folder: this.#artifacts.folder(artefact, version), manifest };
  }
}

interface Followed {
  readonly artefact: FolderArtefact;
  readonly changed: FolderChanged;
  readonly pointer: Pointer;
  current: CurrentFolder | null;
  /** The last error. */
  failing: string | null;
}
