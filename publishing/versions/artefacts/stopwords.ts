/** Stopwords in the stores: rows per version and word in Postgres, a hash per language in the online store. */
import { FreshetError } from '../../../runtime/process/errors.js';
import type { SqlValue } from '../../../runtime/stores/database.js';
import type { StoreOperation } from '../../../runtime/stores/online-store.js';
import { arrayParameter } from '../../../runtime/stores/postgres/array-parameter.js';
import { checksumKey, partsKey, settingsKey, stagedKey } from '../../../runtime/stores/versioned-keys.js';
import { encodeId } from '../../layout.js';
import { AT, type VersionName, type VersionsPlace } from '../place.js';
import { StagingBatches } from '../staging.js';
import type { Contents, StagedVersion } from './contents.js';
import {
  confidenceDigest,
  type LanguageWords,
  WORDS_FILE,
  type Word,
  WordsDigest,
  wordsOfLines,
  wordsOfTable,
} from './words.js';

/** Rows in a statement of Postgres, or in a batch that blocks all other clients of Redis (about 2 ms). */
const ROWS_PER_STATEMENT = 5_000;
const WORDS_PER_BATCH = 1_000;

export const stopwords: Contents = {
  async stageRows(place, version, manifest) {
    const mark = manifest.files.find(({ name }) => name === WORDS_FILE);
    if (mark === undefined) throw new FreshetError('invalid_data', `The manifest names no ${WORDS_FILE}.`);
    await place.database.execute('DELETE FROM stopwords WHERE version = $1', [version.version]);
    const rows = new Rows(place, version);
    const inFile = new WordsDigest();
    for await (const language of wordsOfLines(place.artifacts.lines('stopwords', version.version, mark))) {
      inFile.add(language);
      await rows.add(language);
    }
    await rows.flush();
    if (inFile.languages === 0) throw new FreshetError('invalid_data', `${WORDS_FILE} contains no words.`);
    const inTable = new WordsDigest();
    for await (const language of wordsOfTable(place.database, version.version)) inTable.add(language);
    const checksum = inFile.finish();
    if (inTable.finish() !== checksum) throw differs(version, 'Postgres holds different rows from the file');
    return checksum;
  },

  async stageKeys(place, version, checksum) {
    const { layout, store } = place;
    const keys = layout.versioned('stopwords');
    const parts = partsKey(keys, version.version)!;
    const staged = (language: string) => stagedKey(keys.plain!, version.version, encodeId(language));
    const batches = await StagingBatches.open(place, version);
    await batches.send([
      { op: 'hset', key: layout.versionIndex('stopwords'), field: String(version.version), value: checksum },
      { op: 'del', key: checksumKey(keys, version.version) },
    ]);
    const inTable = new WordsDigest();
    const sent = new Map<string, { readonly digest: string; readonly count: number }>();
    for await (const { language, words } of wordsOfTable(place.database, version.version)) {
      inTable.add({ language, words });
      sent.set(language, { digest: confidenceDigest(words), count: words.length });
      // Listed before the words are written, so that an interrupted staging can be removed.
      await batches.send([{ op: 'hset', key: parts, field: encodeId(language), value: String(words.length) }]);
      for (let from = 0; from < words.length; from += WORDS_PER_BATCH)
        await batches.send(wordOperations(staged(language), words.slice(from, from + WORDS_PER_BATCH), from === 0));
    }
    if (inTable.finish() !== checksum) throw differs(version, 'Postgres holds different rows from those published');
    await batches.finish();
    for (const [language, { digest }] of sent) {
      const held = [...(await store.hgetall(staged(language)))];
      if (confidenceDigest(held.map(([word, text]) => ({ word, confidence: Number(text) }))) !== digest)
        throw differs(version, `the online store and Postgres hold different words of ${language}`);
    }
    const counts = [...sent].map(([language, { count }]): [string, string] => [encodeId(language), String(count)]);
    await batches.send([
      { op: 'hreplace', key: parts, fields: counts },
      { op: 'set', key: checksumKey(keys, version.version), value: checksum },
    ]);
    await batches.finish();
  },

  async removeRows({ database }, { version }) {
    await database.execute('DELETE FROM stopwords WHERE version = $1', [version]);
  },

  async *keysOf({ layout, store }, { version }: VersionName) {
    const keys = layout.versioned('stopwords');
    const parts = partsKey(keys, version)!;
    const languages = [...(await store.hgetall(parts)).keys()];
    // The list that leads to the words is deleted last, so that an interrupted removal can continue.
    const words = languages.map((language) => stagedKey(keys.plain!, version, language));
    yield [checksumKey(keys, version), settingsKey(keys, version), ...words, parts];
  },
};

function wordOperations(key: string, words: readonly Word[], isFirst: boolean): StoreOperation[] {
  if (!isFirst)
    return words.map(({ word, confidence }) => ({ op: 'hset', key, field: word, value: String(confidence) }));
  const fields = words.map(({ word }) => word);
  return [{ op: 'hnumbers', key, fields, values: words.map(({ confidence }) => confidence) }];
}

/** Sends rows to Postgres, many per statement; a version no longer being staged by this epoch accepts none. */
class Rows {
  readonly #place: VersionsPlace;
  readonly #version: StagedVersion;
  #waiting: (Word & { readonly language: string })[] = [];

  constructor(place: VersionsPlace, version: StagedVersion) {
    this.#place = place;
    this.#version = version;
  }

  async add({ language, words }: LanguageWords): Promise<void> {
    for (const word of words) {
      this.#waiting.push({ ...word, language });
      if (this.#waiting.length >= ROWS_PER_STATEMENT) await this.flush();
    }
  }

  async flush(): Promise<void> {
    const rows = this.#waiting;
    this.#waiting = [];
    if (rows.length === 0) return;
    const { database, clock } = this.#place;
    const { version, epoch } = this.#version;
    const arrays = [
      arrayParameter('text', rows, ({ language }) => language),
      arrayParameter('text', rows, ({ word }) => word),
      arrayParameter('float8', rows, ({ confidence }) => confidence),
      arrayParameter('float8', rows, ({ idf }) => idf),
      arrayParameter('int8', rows, ({ document_frequency }) => document_frequency),
    ];
    const parameters: SqlValue[] = [version, epoch, clock.now(), ...arrays];
    if ((await database.execute(INSERT, parameters)) !== rows.length)
      throw new FreshetError(
        'fenced',
        `Version ${version} of stopwords was abandoned while its words were being written.`,
      );
  }
}

function differs({ version }: VersionName, how: string): FreshetError {
  return new FreshetError('invalid_data', `Version ${version} of stopwords cannot be used: ${how}.`);
}

const INSERT = `
WITH gate AS (
  UPDATE versions SET touched_at = ${AT(3)}
  WHERE artefact = 'stopwords' AND version = $1 AND state = 'staged' AND epoch = $2::bigint
  RETURNING 1
)
INSERT INTO stopwords (version, language, word, confidence, idf, document_frequency)
SELECT $1, given.* FROM gate, unnest($4::text[], $5::text[], $6::float8[], $7::float8[], $8::int8[]) AS given
ON CONFLICT (version, language, word) DO UPDATE
SET confidence = excluded.confidence, idf = excluded.idf, document_frequency = excluded.document_frequency`;
