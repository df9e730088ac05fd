/** Stopwords of one language, from the current version. */
import type { FastifyInstance } from 'fastify';
import { primaryLanguage } from '../../processors/corpus/language.js';
import { hasCode } from '../../runtime/process/errors.js';
import type { Metrics } from '../../runtime/process/metrics.js';
import { READ_MS_MAX } from '../limits.js';
import { servingMetrics } from '../metrics.js';
import type { FeatureReaders } from '../ports.js';
import { Problem } from '../problem.js';
import { access, described } from './declare.js';
import { idOf } from './ids.js';
import { parameters, text } from './schema.js';
import { answers, json } from './shapes.js';

interface StopwordRoutes {
  readonly readers: Pick<FeatureReaders, 'stopwords' | 'stopwordLanguages'>;
  readonly metrics: Metrics;
}

export function addStopwordRoutes(app: FastifyInstance, { readers, metrics }: StopwordRoutes): void {
  app.get(
    '/v1/stopwords',
    {
      config: access('read'),
      handlerTimeout: READ_MS_MAX,
      schema: described(
        { operationId: 'stopwordLanguages', tag: 'features', summary: 'Languages that currently have stopwords.' },
        { response: answers({ 200: json('StopwordLanguages', 'Sorted; empty before the first version.') }, []) },
      ),
    },
    async () => ({ languages: [...(await readers.stopwordLanguages())] }),
  );

  app.get<{ Params: { lang: string } }>(
    '/v1/stopwords/:lang',
    {
      config: access('read'),
      handlerTimeout: READ_MS_MAX,
      schema: described(
        {
          operationId: 'stopwords',
          tag: 'features',
          summary: 'Stopwords of one language with their confidence, surest first.',
        },
        {
          params: parameters({ lang: { ...text, minLength: 1, description: 'Language tag: en, DE, pt-BR.' } }, [
            'lang',
          ]),
          response: answers({ 200: json('Stopwords', 'All of one version.') }, [400, 404]),
        },
      ),
    },
    async (request) => {
      const language = languageOf(idOf('lang', request.params.lang));
      const found = await published(readers, language);
      if (found === null) throw unknownLanguage(language, await readers.stopwordLanguages());
      const { version, words } = found;
      servingMetrics(metrics).reads.inc({ artefact: 'stopwords', version: String(version) });
      return { version, language, words };
    },
  );
}

/** As the corpus classifies documents: pt-BR counts as pt. Throws the 400 for an invalid tag. */
function languageOf(tag: string): string {
  const language = primaryLanguage(tag);
  if (language === null)
    throw new Problem(400, `${JSON.stringify(tag)} is not a language tag: use one such as en or pt-BR.`);
  return language;
}

/** Throws a 503 that says what to do if there is no version; not to be confused with a store that does not answer. */
async function published(readers: StopwordRoutes['readers'], language: string) {
  try {
    return await readers.stopwords(language);
  } catch (error) {
    if (hasCode(error, 'unavailable') && (await readers.stopwordLanguages()).length === 0)
      throw new Problem(
        503,
        'No stopwords are published yet, or FEATURE_VERSION_STOPWORDS names a version that does not exist: "freshet snapshot stopwords" makes one from the documents, "freshet versions list stopwords" lists the versions.',
        { cause: error, retryAfterS: 5 },
      );
    throw error;
  }
}

function unknownLanguage(language: string, known: readonly string[]): Problem {
  return new Problem(
    404,
    `There are no stopwords for ${JSON.stringify(language)}; the languages are ${known.join(', ')}.`,
  );
}
