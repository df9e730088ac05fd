/** TLS and SASL as in the settings, against a broker that requires both. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { loadSettings } from '../../assembly/settings.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import { hasCode } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { readRows } from '../conformance/log-rows.js';
import { startBroker } from '../support/services/kafka.js';
import { freePort, LocalBroker } from '../support/services/local-broker.js';

const run = promisify(execFile);
const PASSWORD = 'only-for-this-test';
const address = `127.0.0.1:${await freePort()}`;
const folder = await mkdtemp(join(tmpdir(), 'freshet-tls-'));
const caFile = join(folder, 'ca.pem');
const broker = await start();
const skip = broker instanceof LocalBroker ? false : `no broker: ${broker.missing}`;
if (skip) await rm(folder, { recursive: true, force: true });

async function start(): Promise<LocalBroker | { missing: string }> {
  const store = join(folder, 'store.p12');
  const common = ['-alias', 'broker', '-keystore', store, '-storepass', PASSWORD];
  const subject = ['-dname', 'CN=127.0.0.1', '-ext', 'SAN=ip:127.0.0.1', '-keyalg', 'RSA', '-validity', '2'];
  try {
    await run('keytool', ['-genkeypair', '-storetype', 'PKCS12', ...subject, ...common]);
    await run('keytool', ['-exportcert', '-rfc', '-file', caFile, ...common]);
  } catch {
    return { missing: 'there is no keytool in PATH to create a certificate' };
  }
  const security = 'org.apache.kafka.common.security';
  const listener = 'listener.name.sasl_ssl';
  return startBroker({
    listener: `SASL_SSL://${address}`,
    formatArguments: ['256', '512'].flatMap((bits) => ['-S', `SCRAM-SHA-${bits}=[name=freshet,password=${PASSWORD}]`]),
    settings: {
      'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
      [`${listener}.plain.sasl.jaas.config`]: `${security}.plain.PlainLoginModule required user_freshet="${PASSWORD}";`,
      [`${listener}.scram-sha-256.sasl.jaas.config`]: `${security}.scram.ScramLoginModule required;`,
      [`${listener}.scram-sha-512.sasl.jaas.config`]: `${security}.scram.ScramLoginModule required;`,
      'ssl.keystore.type': 'PKCS12',
      'ssl.keystore.location': store,
      'ssl.keystore.password': PASSWORD,
    },
  });
}

describe('kafka with TLS and SASL', { skip }, () => {
  after(async () => {
    if (broker instanceof LocalBroker) await broker.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const environment = (mechanism: string, more: Record<string, string> = {}) => ({
    KAFKA_BROKERS: address,
    KAFKA_SSL_ENABLED: 'true',
    KAFKA_SSL_CA_FILE: caFile,
    KAFKA_SASL_MECHANISM: mechanism,
    KAFKA_SASL_USERNAME: 'freshet',
    KAFKA_SASL_PASSWORD: PASSWORD,
    ...more,
  });
  const open = (mechanism: string, more?: Record<string, string>) =>
    openKafkaLog(loadSettings(environment(mechanism, more)), silentLogger);

  before(async () => {
    const log = await open('plain');
    const settings = {};
    await log.admin.createTopic({
      name: 'secure',
      partitions: 1,
      cleanup: 'delete',
      retentionMs: -1,
      logAppendTime: false,
      settings,
    });
    await log.close();
  });

  for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512']) {
    test(`${mechanism}: writes and reads in transactions`, async () => {
      const log = await open(mechanism);
      const { highWatermark } = await log.offsets({ topic: 'secure', partition: 0 });
      const writer = await log.transactionalWriter(`secure-${mechanism}`, ['secure']);
      await writer.init();
      for (let i = 0; i < 2000; i++) writer.add('secure', null, Buffer.from(`${mechanism} ${i} ${'x'.repeat(500)}`));
      await writer.commit();
      const rows = await readRows(log.reader([{ topic: 'secure', partition: 0, offset: highWatermark }]), 2000);
      assert.ok(rows.every(({ value }, i) => value?.startsWith(`${mechanism} ${i} `)));
      await log.close();
    });

    test(`${mechanism}: a wrong password is refused access, at once`, async () => {
      const begun = performance.now();
      await assert.rejects(
        open(mechanism, { KAFKA_SASL_PASSWORD: 'wrong' }),
        (error) => hasCode(error, 'access') && /KAFKA_SASL_/.test(String(error)),
      );
      assert.ok(performance.now() - begun < 5000);
    });
  }

  test('an untrusted certificate is a connection error that says so', async () => {
    const { KAFKA_SSL_CA_FILE: _, ...without } = environment('plain');
    await assert.rejects(
      openKafkaLog(loadSettings(without), silentLogger),
      (error) => hasCode(error, 'connection') && /certificate/.test(String(error)),
    );
  });

  test('a missing TLS file is a settings error', async () => {
    await assert.rejects(
      open('plain', { KAFKA_SSL_CA_FILE: join(folder, 'nowhere.pem') }),
      (error) => hasCode(error, 'settings') && /KAFKA_SSL_CA_FILE.*nowhere\.pem/.test(String(error)),
    );
  });
});
