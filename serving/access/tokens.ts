/** Bearer tokens. Only their SHA-256 is kept here; a comparison takes the same time whichever token matches. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { FreshetError, messageOf } from '../../runtime/process/errors.js';
import { mergeSettings } from '../../runtime/process/settings.js';
import { type AccessToken, type HttpSettings, servingSettings } from '../settings.js';
import { isLoopback } from './hosts.js';
import type { TokenRole } from './roles.js';

/** The sender of a request. */
export interface Principal {
  /** Identifies the token without revealing it: the start of its SHA-256. */
  readonly id: string;
  readonly role: TokenRole;
  readonly tenant: string;
}

/**
 * The tokens of a deployment; the file is read at each start; null if none are set. Throws FreshetError('settings') for
 * invalid tokens, and for none although HOST is reachable from other machines. `localToken`: used by commands of the
 * owner of the data folder; where tokens are required, it gives them the role admin.
 */
export function loadTokens(settings: HttpSettings, localToken?: string): Tokens | null {
  if (settings.API_TOKENS !== undefined && settings.API_TOKENS_FILE !== undefined)
    throw new FreshetError('settings', 'API_TOKENS and API_TOKENS_FILE are both set: keep one of them.');
  const list = settings.API_TOKENS ?? (settings.API_TOKENS_FILE ? readTokens(settings.API_TOKENS_FILE) : null);
  if (list === null) {
    if (isLoopback(settings.HOST)) return null;
    throw new FreshetError(
      'settings',
      `HOST is ${settings.HOST}, which other machines can reach, but no tokens are set: set API_TOKENS or API_TOKENS_FILE, or HOST=127.0.0.1.`,
    );
  }
  if (list.length === 0)
    throw new FreshetError('settings', 'The list of API tokens is empty, so no one could log in: add one or unset it.');
  if (localToken === undefined) return new Tokens(list);
  const sha256 = createHash('sha256').update(localToken, 'utf8').digest('hex');
  return new Tokens([...list, { sha256, role: 'admin', tenant: 'local' }]);
}

function readTokens(file: string): readonly AccessToken[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new FreshetError('settings', `API_TOKENS_FILE: ${file} cannot be read: ${messageOf(error)}.`);
  }
  try {
    return mergeSettings([servingSettings]).load({ API_TOKENS: text.trim() }).API_TOKENS ?? [];
  } catch (error) {
    throw new FreshetError('settings', messageOf(error).replaceAll('API_TOKENS:', `API_TOKENS_FILE ${file}:`));
  }
}

export class Tokens {
  readonly #entries: readonly { readonly digest: Buffer; readonly principal: Principal }[];

  constructor(list: readonly AccessToken[]) {
    this.#entries = list.map(({ sha256, role, tenant }) => ({
      digest: Buffer.from(sha256, 'hex'),
      principal: { id: sha256.slice(0, 12), role, tenant },
    }));
  }

  /** The principal of this token; null if the token is unknown. */
  find(token: string): Principal | null {
    const digest = createHash('sha256').update(token, 'utf8').digest();
    let found: Principal | null = null;
    for (const entry of this.#entries) if (timingSafeEqual(entry.digest, digest)) found = entry.principal;
    return found;
  }
}

/**
 * The token of an Authorization header: `Bearer <token>`, or `Basic` with the token as its password, because a browser
 * can open the page in no other way. Null if there is none.
 */
export function tokenOf(authorization: string | undefined): string | null {
  const match = /^(bearer|basic) +(\S+) *$/i.exec(authorization ?? '');
  if (match === null) return null;
  const [, scheme, credentials] = match;
  if (scheme!.toLowerCase() === 'bearer') return credentials!;
  const pair = Buffer.from(credentials!, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon === -1 || colon === pair.length - 1 ? null : pair.slice(colon + 1);
}
