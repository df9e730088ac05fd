/** Settings of the HTTP interface: where it listens, and who has access. */
import { z } from 'zod';
import { integer } from '../runtime/process/setting-kinds.js';
import { declareSettings, type SettingsOf } from '../runtime/process/settings.js';

const token = z.strictObject({
  sha256: z.string().regex(/^[0-9a-f]{64}$/, '64 hex digits'),
  role: z.enum(['reader', 'producer', 'operator', 'admin']),
  tenant: z.string().min(1).max(256),
});

export type AccessToken = z.infer<typeof token>;

const tokens = z.string().transform((text, context) => {
  try {
    return z.array(token).min(1).parse(JSON.parse(text));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : 'not JSON';
    context.addIssue({ code: 'custom', message: `an array of {"sha256", "role", "tenant"}: ${why}` });
    return z.NEVER;
  }
});

/** Conda's activation exports the platform of its compilers as HOST. */
const PLATFORM = /^(x86_64|aarch64|arm64|powerpc64le|s390x)-.+/;
const host = z
  .string()
  .refine(
    (name) => !PLATFORM.test(name),
    'the platform of a compiler, which conda sets when it is activated: set HOST=127.0.0.1, or unset HOST',
  );

export const servingSettings = declareSettings(
  {
    HOST: host.default('127.0.0.1'),
    PORT: integer(0, 65_535).default(8080),
    /** Where processes without the role serving listen, for probes and Prometheus. */
    METRICS_PORT: z.union([z.literal('off'), integer(0, 65_535)], 'a port from 0 to 65535, or off').default(0),
    API_TOKENS: tokens.optional(),
    API_TOKENS_FILE: z.string().optional(),
  },
  {
    secrets: ['API_TOKENS', 'API_TOKENS_FILE'],
    alternatives: [['API_TOKENS', 'API_TOKENS_FILE']],
  },
);

type ServingSettings = SettingsOf<typeof servingSettings>;

/** What an HTTP server of ours needs. */
export type HttpSettings = Omit<ServingSettings, 'METRICS_PORT'>;
