/** Connection options, from the settings. */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { FreshetError, messageOf } from '../../../process/errors.js';
import type { Logger } from '../../../process/logger.js';
import type { LogSettings } from '../../settings.js';
import type { ConnectionOptions, SaslOptions } from './kafkajs.js';
import type { Address } from './link.js';

const CONNECT_TIMEOUT_MS = 2_000;
/** Requests whose answers may take longer (fetch, produce, join) set their own limit. */
const REQUEST_TIMEOUT_MS = 5_000;

/** Throws 'settings' when KAFKA_BROKERS is not set or a TLS file cannot be read. */
export function connectionOptions(
  settings: LogSettings,
  logger: Logger,
): ConnectionOptions & { seeds: readonly Address[] } {
  if (settings.KAFKA_BROKERS === undefined) throw new FreshetError('settings', 'KAFKA_BROKERS is not set.');
  return {
    seeds: settings.KAFKA_BROKERS.map(parseAddress),
    clientId: settings.KAFKA_CLIENT_ID,
    ssl: tlsOptions(settings),
    sasl: saslOptions(settings),
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    logger,
  };
}

/** The port follows the last colon; the brackets around an IPv6 address are only notation. */
function parseAddress(text: string): Address {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(text.slice(colon + 1)) };
}

function tlsOptions(settings: LogSettings): TlsOptions | null {
  if (!settings.KAFKA_SSL_ENABLED) return null;
  const options: TlsOptions = {};
  if (settings.KAFKA_SSL_CA_FILE !== undefined) options.ca = readPem('KAFKA_SSL_CA_FILE', settings.KAFKA_SSL_CA_FILE);
  if (settings.KAFKA_SSL_CERT_FILE !== undefined)
    options.cert = readPem('KAFKA_SSL_CERT_FILE', settings.KAFKA_SSL_CERT_FILE);
  if (settings.KAFKA_SSL_KEY_FILE !== undefined)
    options.key = readPem('KAFKA_SSL_KEY_FILE', settings.KAFKA_SSL_KEY_FILE);
  return options;
}

function readPem(name: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new FreshetError('settings', `${name}: ${messageOf(error)}`, { cause: error });
  }
}

function saslOptions(settings: LogSettings): SaslOptions | null {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = settings;
  if (mechanism === undefined || username === undefined || password === undefined) return null;
  return { mechanism, username, password };
}
