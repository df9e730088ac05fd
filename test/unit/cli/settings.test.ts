import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { describe, it } from 'node:test';
import { givenSettings, loadSettings, SECRET_NAMES, SETTING_NAMES } from '../../../cli/settings.js';
import { hasCode, messageOf } from '../../../runtime/process/errors.js';

type Environment = Record<string, string | undefined>;

/** The sentence that stops the start. */
function complaint(environment: Environment): string {
  try {
    loadSettings(environment);
  } catch (error) {
    assert.ok(hasCode(error, 'settings'), String(error));
    return messageOf(error);
  }
  return assert.fail(`accepted: ${JSON.stringify(environment)}`);
}

const NAMES = [
  'KAFKA_BROKERS',
  'KAFKA_CLIENT_ID',
  'KAFKA_SSL_ENABLED',
  'KAFKA_SSL_CA_FILE',
  'KAFKA_SSL_CERT_FILE',
  'KAFKA_SSL_KEY_FILE',
  'KAFKA_SASL_MECHANISM',
  'KAFKA_SASL_USERNAME',
  'KAFKA_SASL_PASSWORD',
  'SCHEMA_REGISTRY_URL',
  'SCHEMA_REGISTRY_USERNAME',
  'SCHEMA_REGISTRY_PASSWORD',
  'REDIS_URL',
  'REDIS_PASSWORD',
  'REDIS_KEY_PREFIX',
  'DATABASE_URL',
  'ARTIFACTS_DIR',
  'FRESHET_DATA_DIR',
  'HOST',
  'PORT',
  'LOG_LEVEL',
  'METRICS_PORT',
  'API_TOKENS',
  'API_TOKENS_FILE',
  'PARTITIONS',
  'COMMIT_INTERVAL_MS',
  'CHANGELOG_INTERVAL_S',
  'CHECKPOINT_INTERVAL_S',
  'INTERACTIONS_INTERVAL_S',
  'POPULARITY_HALF_LIFE_H',
  'AFFINITY_HALF_LIFE_H',
  'DUPLICATE_HORIZON_H',
  'ALLOW_CREATE_TIME',
  'ACCEPT_CLOCK_JUMP',
  'AUDIT_SAMPLE',
  'AUDIT_INTERVAL_S',
  'POSTGRES_COALESCE_MS',
  'TERMS_INTERVAL_S',
  'STOPWORDS_WORDS_MAX',
  'STOPWORDS_CONFIDENCE_MIN',
  'STOPWORDS_DOCUMENTS_MIN',
  'STOPWORDS_CHANGE_ALLOWED',
  'FAISS_INDEX',
  'FAISS_RECALL_MIN',
  'FAISS_EF_SEARCH',
  'FAISS_NPROBE',
  'FAISS_CHANGE_ALLOWED',
  'ALS_FACTORS',
  'ALS_REGULARIZATION',
  'ALS_ITERATIONS',
  'ALS_ALPHA',
  'ALS_SEED',
  'ALS_THREADS',
  'ALS_INTERACTIONS_MIN',
  'SNAPSHOT_MEMORY_MB',
  'EMBEDDING_MODEL_DIR',
  'EMBEDDING_THREADS',
  'FEATURE_VERSION_POPULARITY',
  'FEATURE_VERSION_AFFINITY',
  'FEATURE_VERSION_INTERACTIONS',
  'FEATURE_VERSION_STOPWORDS',
  'FEATURE_VERSION_ALS',
  'FEATURE_VERSION_FAISS',
  'DEMO_RATE',
  'DEMO_SEED',
];
const SECRETS = [
  'KAFKA_SASL_PASSWORD',
  'SCHEMA_REGISTRY_URL',
  'SCHEMA_REGISTRY_PASSWORD',
  'REDIS_URL',
  'REDIS_PASSWORD',
  'DATABASE_URL',
  'API_TOKENS',
  'API_TOKENS_FILE',
];

const TOKEN = { sha256: 'ab'.repeat(32), role: 'reader', tenant: 'main' };

describe('I10: loadSettings', () => {
  it('has a default for everything', () => {
    const settings = loadSettings({});
    assert.equal(settings.PORT, 8080);
    assert.equal(settings.HOST, '127.0.0.1');
    assert.equal(settings.POPULARITY_HALF_LIFE_H, 336);
    assert.equal(settings.AFFINITY_HALF_LIFE_H, 720);
    assert.equal(settings.DUPLICATE_HORIZON_H, 6);
    assert.equal(settings.KAFKA_BROKERS, undefined);
    assert.equal(settings.FRESHET_DATA_DIR, resolve('data'));
  });

  it('takes an empty value as unset', () => {
    const settings = loadSettings({ KAFKA_BROKERS: '', PORT: '', REDIS_URL: '' });
    assert.equal(settings.KAFKA_BROKERS, undefined);
    assert.equal(settings.PORT, 8080);
  });

  it('reads lists, numbers, flags and folders', () => {
    const settings = loadSettings({
      KAFKA_BROKERS: 'a:9092,[::1]:9093',
      KAFKA_SSL_ENABLED: 'true',
      PORT: '0',
      DUPLICATE_HORIZON_H: '0.5',
      FRESHET_DATA_DIR: 'here',
      ARTIFACTS_DIR: 'there',
    });
    assert.deepEqual(settings.KAFKA_BROKERS, ['a:9092', '[::1]:9093']);
    assert.equal(settings.KAFKA_SSL_ENABLED, true);
    assert.equal(settings.PORT, 0);
    assert.equal(settings.DUPLICATE_HORIZON_H, 0.5);
    assert.equal(settings.FRESHET_DATA_DIR, resolve('here'));
    assert.equal(settings.ARTIFACTS_DIR, resolve('there'));
  });

  const malformed: [Environment, RegExp][] = [
    [{ PORT: '80a' }, /PORT: a number \(it is "80a"\)/],
    [{ PORT: '0x50' }, /PORT: a number/],
    [{ PORT: '65536' }, /PORT: .*65535/],
    [{ PORT: '80.5' }, /PORT: /],
    [{ COMMIT_INTERVAL_MS: '0' }, /COMMIT_INTERVAL_MS: /],
    [{ POPULARITY_HALF_LIFE_H: '0.5' }, /POPULARITY_HALF_LIFE_H: .*>=1/],
    [{ KAFKA_SSL_ENABLED: 'yes' }, /KAFKA_SSL_ENABLED: .*"true"/],
    [{ KAFKA_BROKERS: 'localhost' }, /KAFKA_BROKERS: host:port/],
    [{ KAFKA_BROKERS: 'http://localhost:9092' }, /KAFKA_BROKERS: host:port/],
    [{ KAFKA_BROKERS: 'a:9092,b' }, /KAFKA_BROKERS: host:port/],
    [{ KAFKA_BROKERS: 'user:hunter2@localhost:9092' }, /KAFKA_BROKERS: host:port.*KAFKA_SASL_PASSWORD/],
    [{ LOG_LEVEL: 'loud' }, /LOG_LEVEL: /],
    [{ REDIS_URL: 'localhost:6379' }, /REDIS_URL: a URL that begins with redis:\/\/ or rediss:\/\//],
    [{ DATABASE_URL: 'mysql://db/shop' }, /DATABASE_URL: a URL that begins with postgres:\/\//],
    [{ SCHEMA_REGISTRY_URL: 'registry:8081' }, /SCHEMA_REGISTRY_URL: a URL that begins with http:\/\//],
    [{ API_TOKENS: 'secret' }, /API_TOKENS: .*not JSON/],
    [{ API_TOKENS: '[]' }, /API_TOKENS: /],
    [{ API_TOKENS: JSON.stringify([{ ...TOKEN, sha256: 'plain' }]) }, /API_TOKENS: .*64 hex digits/s],
    [{ API_TOKENS: JSON.stringify([{ ...TOKEN, password: 'x' }]) }, /API_TOKENS: /],
  ];
  for (const [environment, expected] of malformed) {
    it(`refuses ${JSON.stringify(environment)}`, () => assert.match(complaint(environment), expected));
  }

  it('names every problem at once', () => {
    const message = complaint({ PORT: 'x', LOG_LEVEL: 'loud', FRESHET_COLOUR: 'red' });
    for (const name of ['PORT', 'LOG_LEVEL', 'FRESHET_COLOUR']) assert.ok(message.includes(name), message);
  });

  it('refuses an unknown FRESHET_ name and guesses what was meant', () => {
    assert.match(complaint({ FRESHET_COLOUR: 'red' }), /FRESHET_COLOUR is not a setting\. /);
    assert.match(complaint({ FRESHET_DATA_DRI: 'x' }), /did you mean FRESHET_DATA_DIR\?/);
    assert.match(complaint({ FRESHET_PORT: '1' }), /did you mean PORT\?/);
  });

  it('refuses a near miss of a known name: one letter more, less, other or swapped, or the case', () => {
    for (const name of ['KAFKA_BROKER', 'KAFKA_BROKERSS', 'KAFKA_BROKARS', 'KAFKA_BROKESR', 'kafka_brokers'])
      assert.match(complaint({ [name]: 'a:1' }), /did you mean KAFKA_BROKERS\?/);
  });

  it("leaves other programs' names alone", () => {
    const others = { REDIS_PORT: 'tcp://10.0.0.1:6379', KAFKA_SERVICE_HOST: 'x', HOSTNAME: 'x', SPORT: 'x', PATH: '/' };
    assert.equal(loadSettings(others).PORT, 8080);
  });

  it('never shows a secret', () => {
    for (const environment of [
      { REDIS_URL: 'hunter2' },
      { DATABASE_URL: 'hunter2' },
      { API_TOKENS: 'hunter2' },
      { KAFKA_SASL_PASSWORD: 'hunter2' },
      { KAFKA_BROKERS: 'user:hunter2@localhost:9092' },
      { KAFKA_BROKERS: 'user:hunter2@localhost' },
    ])
      assert.doesNotMatch(complaint(environment), /hunter2/);
    assert.deepEqual([...SECRET_NAMES].sort(), [...SECRETS].sort());
  });

  it('refuses a setting that would be ignored for want of another', () => {
    const sasl = { KAFKA_BROKERS: 'a:1', KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_USERNAME: 'me' };
    assert.match(complaint(sasl), /KAFKA_SASL_MECHANISM is set, but KAFKA_SASL_PASSWORD, which it needs, is not/);
    assert.equal(loadSettings({ ...sasl, KAFKA_SASL_PASSWORD: 'x' }).KAFKA_SASL_MECHANISM, 'plain');
    assert.match(complaint({ KAFKA_SSL_ENABLED: 'true' }), /KAFKA_BROKERS, which it needs, is not/);
    assert.match(
      complaint({ KAFKA_BROKERS: 'a:1', KAFKA_SSL_CA_FILE: 'ca.pem' }),
      /KAFKA_SSL_ENABLED, which it needs, is not/,
    );
    assert.match(complaint({ REDIS_PASSWORD: 'x' }), /REDIS_PASSWORD is set, but REDIS_URL, which it needs, is not/);
  });

  it('takes tokens from one place', () => {
    assert.deepEqual(loadSettings({ API_TOKENS: JSON.stringify([TOKEN]) }).API_TOKENS, [TOKEN]);
    assert.equal(loadSettings({ API_TOKENS_FILE: 'tokens.json' }).API_TOKENS_FILE, 'tokens.json');
    assert.match(complaint({ API_TOKENS_FILE: 'tokens.json', API_TOKENS: JSON.stringify([TOKEN]) }), /both set/);
  });
});

describe('SETTING_NAMES', () => {
  it('holds what every room declares, and what the demo does', () => {
    assert.deepEqual([...SETTING_NAMES].sort(), [...NAMES].sort());
  });
});

describe('givenSettings', () => {
  it('tells what was set from what is a default', () => {
    assert.deepEqual([...givenSettings({ PORT: '1', HOST: '', LOG_LEVEL: undefined, OTHER: 'x' })], ['PORT']);
  });
});
