/** Reads the re-key hop, keeps (product, day) sums, writes popularity; shows the catalogue's category. */
import type { ProcessorDeclaration } from '../../../runtime/tasks/processor.js';
import type { Codec } from '../../../schemas/codec.js';
import type { FeatureTopics } from '../../../topics/features.js';
import type { Catalogue } from '../catalogue/catalogue.js';
import { PopularityPart } from './popularity-part.js';

/** Raise it whenever the fold or the shape of its state changes: the task then refuses old state instead of mixing. */
const FOLD_VERSION = 1;

interface PopularityProcessorOptions {
  readonly application: string;
  readonly topics: FeatureTopics;
  readonly halfLifeMs: number;
  readonly codec: Codec;
  readonly catalogue: Catalogue;
}

export function popularityProcessor(options: PopularityProcessorOptions): ProcessorDeclaration {
  const { application, topics, halfLifeMs, codec, catalogue } = options;
  return {
    name: 'popularity',
    application,
    fingerprint: JSON.stringify({ fold: 'popularity', version: FOLD_VERSION, halfLifeMs }),
    rowPrefix: codec.prefix('PopularityRow'),
    input: topics.productActivity.name,
    changelog: topics.popularityChangelog.name,
    writes: [topics.popularity.name, topics.popularityChangelog.name],
    tables: [catalogue],
    createPart: ({ input, changelogPartition }) =>
      new PopularityPart({ input, changelogPartition, topics, halfLifeMs, codec, catalogue }),
  };
}
