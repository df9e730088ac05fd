/**
 * The two halves of the corpus application: `corpus` reads `documents` and writes the changes of each commit to an
 * internal topic, `corpus-terms` adds them up per term and writes `terms`.
 */
import type { ProcessorDeclaration } from '../../runtime/tasks/processor.js';
import type { Codec } from '../../schemas/codec.js';
import type { CorpusTopics } from '../../topics/corpus.js';
import { deadLetters, documents } from '../../topics/events.js';
import { type CorpusOutcome, CorpusPart } from './corpus-part.js';
import { TermsPart } from './terms-part.js';

/**
 * Increase it whenever the definition of a word or a language changes, or the shape of the state: the task then refuses
 * old state instead of mixing it with new state. (Not for a new ICU, which splits some Thai or Chinese words
 * differently: a document is removed exactly as it was counted, whichever ICU counted it.)
 */
const CORPUS_FOLD_VERSION = 1;
const TERMS_FOLD_VERSION = 1;

interface CorpusProcessorOptions {
  readonly application: string;
  readonly topics: CorpusTopics;
  readonly codec: Codec;
  readonly onDocuments: (outcome: CorpusOutcome, documents: number) => void;
}

export function corpusProcessor(options: CorpusProcessorOptions): ProcessorDeclaration {
  const { application, topics, codec, onDocuments } = options;
  return {
    name: 'corpus',
    application,
    fingerprint: JSON.stringify({ fold: 'corpus', version: CORPUS_FOLD_VERSION }),
    rowPrefix: codec.prefix('DocumentTerms'),
    input: documents.name,
    changelog: topics.documentsChangelog.name,
    writes: [topics.termChanges.name, topics.documentsChangelog.name, deadLetters.name],
    tables: [],
    createPart: (part) => new CorpusPart({ ...part, topics, codec, onDocuments }),
  };
}

interface CorpusTermsProcessorOptions {
  readonly application: string;
  readonly topics: CorpusTopics;
  readonly codec: Codec;
  /** How long a shard that keeps changing waits before it is written, ms. */
  readonly intervalMs: number;
}

export function corpusTermsProcessor(options: CorpusTermsProcessorOptions): ProcessorDeclaration {
  const { application, topics, codec, intervalMs } = options;
  return {
    name: 'corpus-terms',
    application,
    fingerprint: JSON.stringify({ fold: 'corpus-terms', version: TERMS_FOLD_VERSION }),
    rowPrefix: codec.prefix('TermRow'),
    input: topics.termChanges.name,
    changelog: topics.termsChangelog.name,
    writes: [topics.terms.name, topics.termsChangelog.name],
    tables: [],
    createPart: ({ input, changelogPartition }) =>
      new TermsPart({ input, changelogPartition, topics, codec, intervalMs }),
  };
}
