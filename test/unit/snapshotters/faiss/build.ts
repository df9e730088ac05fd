/** The snapshotter from records to a version's folder, without a process around it. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSettings, type Settings } from '../../../../assembly/settings.js';
import { MANIFEST_FILE, type Manifest } from '../../../../publishing/versions/manifest.js';
import type { RecordColumns } from '../../../../runtime/log/log.js';
import type { EngineChoice } from '../../../../runtime/models/faiss/messages.js';
import { Codec } from '../../../../schemas/codec.js';
import { createFaissSnapshotter } from '../../../../snapshotters/faiss/snapshotter.js';
import type { BuildContext, BuildReport } from '../../../../snapshotters/snapshotter.js';
import { columnsOf } from '../../../support/columns.js';
import { clusteredVectors } from '../../runtime/models/faiss/vectors.js';

export const codec = new Codec();

/** A record of `embeddings`; `vector` null: a deletion. */
export interface EmbeddingRecord {
  readonly id: string;
  readonly vector: Float32Array | null;
  readonly model?: string;
  readonly at?: number;
}

export function embeddingColumns(records: readonly EmbeddingRecord[]): RecordColumns {
  return columnsOf(
    'embeddings',
    0,
    records.map(({ id, vector, model = 'm1', at = 0 }, offset) => ({
      key: id,
      value:
        vector === null
          ? null
          : codec.encode('Embedding', {
              product_id: id,
              content_hash: 'h',
              model,
              vector: Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength),
            }),
      timestamp: at,
      offset,
    })),
  );
}

/** Products p00000, p00001, … with clustered vectors. */
export function products(count: number, { dimension = 16, seed = 1 } = {}): EmbeddingRecord[] {
  const vectors = clusteredVectors({ seed, count, dimension, clusters: Math.max(1, Math.round(count / 10)) });
  return Array.from({ length: count }, (_, i) => ({
    id: `p${String(i).padStart(5, '0')}`,
    vector: vectors.subarray(i * dimension, (i + 1) * dimension),
  }));
}

export interface BuiltVersion {
  readonly folder: string;
  readonly report: BuildReport;
  readonly manifest: Manifest;
  readonly phases: ReadonlySet<string>;
}

/** The folders of one test; call `remove` at its end. */
export class Workshop {
  readonly root: string;
  #versions = 0;

  private constructor(root: string) {
    this.root = root;
  }

  static async open(): Promise<Workshop> {
    return new Workshop(await mkdtemp(join(tmpdir(), 'faiss-versions-')));
  }

  remove(): Promise<void> {
    return rm(this.root, { recursive: true });
  }

  settings(given: Record<string, string> = {}): Settings {
    return loadSettings({ ARTIFACTS_DIR: join(this.root, 'artifacts'), ...given });
  }

  /** Errors: those of the build. */
  async build(
    records: readonly EmbeddingRecord[],
    options: {
      settings?: Record<string, string>;
      engine?: EngineChoice;
      previous?: BuiltVersion;
      texts?: RecordColumns;
    } = {},
  ): Promise<BuiltVersion> {
    const { engine = 'exact', previous } = options;
    const settings = this.settings(options.settings);
    const snapshotter = createFaissSnapshotter(engine);
    const capture = snapshotter.createCapture(codec, settings);
    const columns = embeddingColumns(records);
    for (let row = 0; row < columns.count; row++) capture.add(columns, row);
    const { texts } = options;
    for (let row = 0; row < (texts?.count ?? 0); row++) capture.add(texts!, row);
    const folder = join(this.root, `v${++this.#versions}`);
    await mkdir(folder);
    const phases = new Set<string>();
    const context: BuildContext<Settings> = {
      folder,
      settings,
      previous: previous === undefined ? null : { version: 1, folder: previous.folder, manifest: previous.manifest },
      progress: (phase) => phases.add(phase),
    };
    const report = await snapshotter.build(capture, context);
    const manifest = await manifestOf(folder, report);
    await writeFile(join(folder, MANIFEST_FILE), JSON.stringify(manifest));
    return { folder, report, manifest, phases };
  }
}

async function manifestOf(
  folder: string,
  { files, settings, counts, figures, checks }: BuildReport,
): Promise<Manifest> {
  const described = await Promise.all(
    files.map(async (name) => {
      const bytes = await readFile(join(folder, name));
      return { name, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    }),
  );
  const about = {
    artefact: 'faiss',
    run_id: 'run-1',
    created_at: '2025-06-01T02:00:00.000Z',
    code_version: '0.1.0',
  } as const;
  return { ...about, inputs: [], settings, counts, figures, checks, files: described };
}

export function failedChecks({ checks }: BuildReport): string[] {
  return checks.filter(({ passed }) => !passed).map(({ name }) => name);
}
