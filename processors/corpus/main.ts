/** Starts the corpus application: the tasks of documents and terms that this member is given. */

import type { TaskSettings } from '../../runtime/tasks/settings.js';
import { corpusTopics } from '../../topics/corpus.js';
import { applicationOf, type Processors, type ProcessorsOptions } from '../application.js';
import { corpusMetrics } from './metrics.js';
import { corpusProcessor, corpusTermsProcessor } from './processor.js';
import type { CorpusSettings } from './settings.js';

/** The corpus is an application of its own: a replay of the features leaves it alone. */
const CORPUS_VERSION = 1;

interface CorpusOptions extends ProcessorsOptions {
  readonly settings: TaskSettings & CorpusSettings;
}

/** The corpus application (`corpus.v1`) as a service: documents in, document frequencies per language and term out. */
export function createCorpus(options: CorpusOptions): Processors {
  const { codec, settings, metrics } = options;
  const application = `corpus.v${CORPUS_VERSION}`;
  const shared = { application, topics: corpusTopics(CORPUS_VERSION), codec };
  const corpus = corpusProcessor({
    ...shared,
    onDocuments: (outcome, documents) => corpusMetrics(metrics).documents.inc({ outcome }, documents),
  });
  const terms = corpusTermsProcessor({ ...shared, intervalMs: settings.TERMS_INTERVAL_S * 1_000 });
  const tasks = applicationOf(application, [corpus, terms], options);
  return { name: application, application: tasks, start: () => tasks.start(), stop: () => tasks.stop() };
}
