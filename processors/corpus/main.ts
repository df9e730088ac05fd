/** Starts the corpus application: the tasks of documents and terms that are assigned to this member. */
import type { TaskSettings } from '../../runtime/tasks/settings.js';
import type { CorpusSet } from '../../topics/corpus.js';
import { applicationOf, type Processors, type ProcessorsOptions } from '../application.js';
import { corpusMetrics } from './metrics.js';
import { corpusProcessor, corpusTermsProcessor } from './processor.js';
import type { CorpusSettings } from './settings.js';

interface CorpusOptions extends ProcessorsOptions {
  readonly settings: TaskSettings & CorpusSettings;
  /** The corpus is a separate application: a replay of the features does not affect it. */
  readonly set: CorpusSet;
}

/** One version of the corpus application as a service: documents in, document frequencies per language and term out. */
export function createCorpus(options: CorpusOptions): Processors {
  const { codec, settings, metrics } = options;
  const { application, topics } = options.set;
  const shared = { application, topics, codec };
  const corpus = corpusProcessor({
    ...shared,
    onDocuments: (outcome, documents) => corpusMetrics(metrics).documents.inc({ outcome }, documents),
  });
  const terms = corpusTermsProcessor({ ...shared, intervalMs: settings.TERMS_INTERVAL_S * 1_000 });
  const tasks = applicationOf(application, [corpus, terms], options);
  return { name: application, application: tasks, start: () => tasks.start(), stop: () => tasks.stop() };
}
