/** Settings of the log: the brokers and the registry, and how topics are created. */
import { z } from 'zod';
import { flag, integer, url } from '../process/setting-kinds.js';
import { declareSettings, type SettingsOf } from '../process/settings.js';

/** A host name, an IPv4 address, or an IPv6 address in brackets; then a port. Nothing in it may be a secret. */
const BROKER = String.raw`(?:[\w.-]+|\[[\da-fA-F:.]+\]):\d{1,5}`;
const BROKERS = new RegExp(`^${BROKER}(?:,${BROKER})*$`);

export const logSettings = declareSettings(
  {
    KAFKA_BROKERS: z
      .string()
      .regex(
        BROKERS,
        'host:port, several separated by commas; KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD hold credentials',
      )
      .transform((text) => text.split(','))
      .optional(),
    KAFKA_CLIENT_ID: z.string().min(1).max(256).default('freshet'),
    KAFKA_SSL_ENABLED: flag.default(false),
    KAFKA_SSL_CA_FILE: z.string().optional(),
    KAFKA_SSL_CERT_FILE: z.string().optional(),
    KAFKA_SSL_KEY_FILE: z.string().optional(),
    KAFKA_SASL_MECHANISM: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional(),
    KAFKA_SASL_USERNAME: z.string().optional(),
    KAFKA_SASL_PASSWORD: z.string().optional(),
    SCHEMA_REGISTRY_URL: url(['http', 'https']).optional(),
    SCHEMA_REGISTRY_USERNAME: z.string().optional(),
    SCHEMA_REGISTRY_PASSWORD: z.string().optional(),
    PARTITIONS: integer(1, 1000).optional(),
    ALLOW_CREATE_TIME: flag.default(false),
    ACCEPT_CLOCK_JUMP: flag.default(false),
  },
  {
    secrets: ['KAFKA_SASL_PASSWORD', 'SCHEMA_REGISTRY_URL', 'SCHEMA_REGISTRY_PASSWORD'],
    needs: [
      ['KAFKA_SASL_MECHANISM', 'KAFKA_BROKERS'],
      ['KAFKA_SASL_MECHANISM', 'KAFKA_SASL_USERNAME'],
      ['KAFKA_SASL_MECHANISM', 'KAFKA_SASL_PASSWORD'],
      ['KAFKA_SASL_USERNAME', 'KAFKA_SASL_MECHANISM'],
      ['KAFKA_SASL_PASSWORD', 'KAFKA_SASL_MECHANISM'],
      ['KAFKA_SSL_ENABLED', 'KAFKA_BROKERS'],
      ['KAFKA_SSL_CA_FILE', 'KAFKA_SSL_ENABLED'],
      ['KAFKA_SSL_CERT_FILE', 'KAFKA_SSL_ENABLED'],
      ['KAFKA_SSL_CERT_FILE', 'KAFKA_SSL_KEY_FILE'],
      ['KAFKA_SSL_KEY_FILE', 'KAFKA_SSL_ENABLED'],
      ['KAFKA_SSL_KEY_FILE', 'KAFKA_SSL_CERT_FILE'],
      ['SCHEMA_REGISTRY_USERNAME', 'SCHEMA_REGISTRY_URL'],
      ['SCHEMA_REGISTRY_USERNAME', 'SCHEMA_REGISTRY_PASSWORD'],
      ['SCHEMA_REGISTRY_PASSWORD', 'SCHEMA_REGISTRY_USERNAME'],
    ],
  },
);

export type LogSettings = SettingsOf<typeof logSettings>;
