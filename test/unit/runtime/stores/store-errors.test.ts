/** Driver errors are mapped to the closed list of codes: errors worth a retry must be distinguished from the others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, FreshetError } from '../../../../runtime/process/errors.js';
import { postgresError, sqlState } from '../../../../runtime/stores/postgres/postgres-errors.js';
import { redisError } from '../../../../runtime/stores/redis/redis-errors.js';

const system = (code: string, message = code) => Object.assign(new Error(message), { code });
const serverSaid = (code: string) => Object.assign(new Error('said'), { code, severity: 'ERROR' });

test('Redis', () => {
  const cases: [ErrorCode, Error][] = [
    ['unavailable', new Error('LOADING Redis is loading the dataset in memory')],
    ['unavailable', new Error("READONLY You can't write against a read only replica.")],
    ['unavailable', new Error("OOM command not allowed when used memory > 'maxmemory'.")],
    ['unavailable', new Error('BUSY Redis is busy running a script.')],
    ['unavailable', new Error('MISCONF Redis is configured to save RDB snapshots')],
    ['unavailable', new Error('ERR max number of clients reached')],
    // How versions before 7 wrap an error inside a script.
    ['unavailable', new Error('ERR Error running script (call to f_1): @user_script:9: -OOM command not allowed')],
    ['invalid_data', new Error('WRONGTYPE Operation against a key script: 1, on @user_script:17.')],
    ['access', new Error('NOAUTH Authentication required.')],
    ['access', new Error('WRONGPASS invalid username-password pair or user is disabled.')],
    ['access', new Error("NOPERM this user has no permissions to run the 'zrem' command")],
    ['access', new Error("ERR The user executing the script can't run this command or subcommand script: 1")],
    ['access', new Error('ERR invalid password')],
    ['timeout', new Error('Command timed out')],
    ['connection', new Error('Connection is closed.')],
    ['connection', new Error("Stream isn't writeable and enableOfflineQueue options is false")],
    ['connection', new Error('Reached the max retries per request limit (which is 0).')],
    ['connection', system('ECONNREFUSED')],
    ['connection', system('ECONNRESET', 'read ECONNRESET')],
    ['connection', system('ENOTFOUND')],
    ['connection', system('ENOENT', 'connect ENOENT /run/redis.sock')],
    ['settings', system('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate')],
    ['internal', new Error('ERR unknown command')],
  ];
  for (const [code, error] of cases) assert.equal(redisError(error, 'doing').code, code, error.message);
});

test('Postgres', () => {
  const cases: [ErrorCode, Error][] = [
    ['connection', serverSaid('08006')],
    ['timeout', serverSaid('57014')],
    ['timeout', serverSaid('25P03')],
    ['unavailable', serverSaid('57P01')],
    ['unavailable', serverSaid('57P03')],
    ['unavailable', serverSaid('53300')],
    ['unavailable', serverSaid('53100')],
    ['unavailable', serverSaid('40001')],
    ['unavailable', serverSaid('40P01')],
    ['unavailable', serverSaid('25006')],
    ['access', serverSaid('28P01')],
    ['access', serverSaid('42501')],
    ['settings', serverSaid('3D000')],
    ['invalid_data', serverSaid('22P02')],
    ['invalid_data', serverSaid('23505')],
    ['schema', serverSaid('42P01')],
    ['internal', serverSaid('42601')],
    ['internal', serverSaid('XX000')],
    ['connection', system('ECONNREFUSED')],
    ['connection', new Error('Connection terminated unexpectedly')],
    ['connection', new Error('Connection terminated due to connection timeout')],
    ['timeout', new Error('timeout exceeded when trying to connect')],
    ['timeout', new Error('Query read timeout')],
    ['access', new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string')],
    ['settings', new Error('The server does not support SSL connections')],
    ['internal', new Error('something else')],
  ];
  for (const [code, error] of cases)
    assert.equal(postgresError(error, 'doing').code, code, `${error.message} ${sqlState(error)}`);
});

test('our own errors pass unchanged, others name the attempted operation and the cause', () => {
  const own = new FreshetError('state', 'closed');
  assert.equal(redisError(own, 'doing'), own);
  assert.equal(postgresError(own, 'doing'), own);
  const cause = serverSaid('23505');
  const mapped = postgresError(cause, 'Postgres at host:1/db');
  assert.equal(mapped.message, 'Postgres at host:1/db: said (SQLSTATE 23505)');
  assert.equal(mapped.cause, cause);
  assert.equal(sqlState(system('EPIPE')), null);
});
