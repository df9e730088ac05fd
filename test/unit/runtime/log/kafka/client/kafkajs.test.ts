/** The parts of kafkajs that we rely on are where we expect them, and its timer is fixed. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { loadSettings } from '../../../../../../assembly/settings.js';
import { newBroker } from '../../../../../../runtime/log/kafka/client/kafkajs.js';
import { openKafkaLog } from '../../../../../../runtime/log/kafka/log.js';
import { hasCode } from '../../../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../../../runtime/process/logger.js';
import { FakeKafka } from '../../../../../support/services/fake-kafka.js';

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

describe('kafkajs behind its door', () => {
  test('an answered request leaves no timer behind except the one for timeouts', async () => {
    const kafka = await FakeKafka.open(1);
    const [host, port] = kafka.brokers.split(':');
    const before = timers();
    const broker = newBroker(host!, Number(port), {
      clientId: 'test',
      ssl: null,
      sasl: null,
      connectTimeoutMs: 1000,
      requestTimeoutMs: 1000,
      logger: silentLogger,
    });
    await broker.connect();
    assert.ok(broker.versions?.[1]);
    assert.equal(timers() - before, 1);
    const connection = broker.connectionPool.pool[0];
    connection.socket?.destroy();
    await connection.disconnect();
    await kafka.close();
  });

  test('a server other than Kafka is a connection error that names the address', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const brokers = `127.0.0.1:${typeof address === 'object' ? address!.port : 0}`;
    await assert.rejects(
      openKafkaLog(loadSettings({ KAFKA_BROKERS: brokers }), silentLogger),
      (error) => hasCode(error, 'connection') && String(error).includes(brokers),
    );
    await new Promise((resolve) => server.close(resolve));
  });

  test('a port without a listener is a connection error that names the address, within about ten seconds', async () => {
    const begun = performance.now();
    await assert.rejects(
      openKafkaLog(loadSettings({ KAFKA_BROKERS: '127.0.0.1:1' }), silentLogger),
      (error) => hasCode(error, 'connection') && /127\.0\.0\.1:1 .*KAFKA_BROKERS/.test(String(error)),
    );
    assert.ok(performance.now() - begun < 12_000);
  });
});
