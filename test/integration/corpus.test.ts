/**
 * Documents on real Kafka to frequencies in `terms`: the process is killed with kill -9 in the middle of them, more
 * than once, and its final output equals a recount of the newest documents.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadSettings } from '../../assembly/settings.js';
import { termsOf } from '../../processors/corpus/words.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import type { Log } from '../../runtime/log/log.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { Codec } from '../../schemas/codec.js';
import type { Document, Terms } from '../../schemas/records.js';
import { allTopics } from '../../topics/all.js';
import { applyTopics } from '../../topics/apply.js';
import { corpusSet } from '../../topics/corpus.js';
import { documents } from '../../topics/events.js';
import type { CorpusMemberInput, CorpusPositions } from '../bench/corpus-kafka-worker.js';
import { type BenchDocument, benchDocuments } from '../bench/corpus-texts.js';
import { readAll } from '../bench/feed.js';
import { Worker } from '../bench/worker.js';
import { eventually } from '../conformance/log-rows.js';
import { addUp, type Counted, recount } from '../support/corpus.js';
import { startBroker } from '../support/services/kafka.js';
import { LocalBroker } from '../support/services/local-broker.js';
import { isRequired } from '../support/services/service.js';

const PARTITIONS = 3;
const DOCUMENTS = 3_000;
const ROUNDS = 2;
const SEED = 11;
const codec = new Codec();

test('I4, I28: documents are counted exactly once on Kafka, whatever crashes', { timeout: 180_000 }, async (t) => {
  const broker = await startBroker();
  if (!(broker instanceof LocalBroker)) {
    assert.ok(!isRequired('kafka'), broker.missing);
    t.skip(broker.missing);
    return;
  }
  const settings = { KAFKA_BROKERS: broker.address, PARTITIONS: String(PARTITIONS) };
  const log = await openKafkaLog(loadSettings(settings), silentLogger);
  const input: CorpusMemberInput = { settings: { ...settings, TERMS_INTERVAL_S: '1', CHANGELOG_INTERVAL_S: '1' } };
  let member: Worker | null = null;
  try {
    await applyTopics(log.admin, allTopics(), { kind: log.kind, partitions: PARTITIONS });
    const all = [...benchDocuments({ seed: SEED, documents: DOCUMENTS, withLanguage: true, codec })];
    const perRound = Math.ceil(all.length / ROUNDS);
    let folded = 0;
    for (let round = 0; round < ROUNDS; round++) {
      member = new Worker('corpus-kafka-worker', input);
      await write(log, all.slice(round * perRound, (round + 1) * perRound));
      // In the middle of it: part of this round is committed, hardly ever all of it.
      folded = await foldedBeyond(member, folded);
      if (round === ROUNDS - 1) break;
      process.kill(member.pid, 'SIGKILL');
    }
    const wanted = newest(all);
    await eventually('terms equal a recount', async () => {
      const published = await readTerms(log);
      return isEqual(published, wanted);
    });
    assert.deepEqual(await readTerms(log), wanted);
  } finally {
    await member?.stop();
    await log.close();
    await broker.stop();
  }
});

async function write(log: Log, some: readonly BenchDocument[]): Promise<void> {
  const writer = await log.writer([documents.name]);
  for (const { key, value } of some) writer.add(documents.name, Buffer.from(key), value);
  await writer.flush();
  await writer.close();
}

/** Waits until the tasks have folded more than `before` records of the input; returns how many. */
async function foldedBeyond(member: Worker, before: number): Promise<number> {
  for (;;) {
    const { positions } = await member.next<CorpusPositions>('positions');
    const folded = positions
      .filter(({ processor }) => processor === 'corpus')
      .reduce((sum, { offset }) => sum + offset, 0);
    if (folded > before) return folded;
  }
}

function newest(all: readonly BenchDocument[]): Map<string, Counted> {
  const byKey = new Map(all.map((document) => [document.key, document]));
  const texts = [...byKey.values()].flatMap(({ value }) => {
    if (value === null) return [];
    const { language, source, text } = codec.decode('Document', value) as Document;
    return [{ language: language!, source: source!, terms: termsOf(text) }];
  });
  return recount(texts);
}

async function readTerms(log: Log): Promise<Map<string, Counted>> {
  const shards = new Map<string, Terms>();
  await readAll(log, corpusSet(1).topics.terms.name, ({ key, value }) => {
    if (value === null) shards.delete(key!);
    else shards.set(key!, codec.decode('Terms', value) as Terms);
  });
  return addUp(shards);
}

function isEqual(a: Map<string, Counted>, b: Map<string, Counted>): boolean {
  try {
    assert.deepEqual(a, b);
    return true;
  } catch {
    return false;
  }
}
