/** The gate before every route: host name, origin, token, role and rate, in this order; all must pass. */
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type AccessClass, FAILURES_PER_MINUTE, REQUESTS_PER_MINUTE } from '../limits.js';
import { Problem } from '../problem.js';
import { isAllowedHost, isOwnOrigin } from './hosts.js';
import { ALLOWED, rolesFor } from './roles.js';
import { type Principal, type Tokens, tokenOf } from './tokens.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route's class, for roles and rates; `open` needs no token. Every route must declare it. */
    access?: AccessClass | 'open';
    /** People open the route in a browser, which only asks for the token when challenged. */
    page?: boolean;
  }
  interface FastifyRequest {
    /** Null without tokens, and on open routes without a valid one. */
    principal: Principal | null;
  }
}

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);
const MINUTE_MS = 60_000;

type RateCheck = (
  request: FastifyRequest,
  options?: { increment: boolean },
) => Promise<{ isAllowed: boolean; isExceeded?: boolean; ttlInSeconds?: number }>;

interface GuardOptions {
  readonly listenHost: string;
  readonly tokens: Tokens | null;
}

/** Adds the gate; must be called before any route is declared. */
export async function addGuard(app: FastifyInstance, { listenHost, tokens }: GuardOptions): Promise<void> {
  app.decorateRequest('principal', null);
  app.addHook('onRoute', (route) => {
    if (route.config?.access === undefined)
      throw new Error(`${String(route.method)} ${route.url} names no access class`);
  });
  const enter = tokens === null ? null : await tokenGate(app, tokens);
  app.addHook('onRequest', async (request, reply) => {
    checkHost(request, listenHost);
    // An unknown path must not reveal anything without a token either.
    const access = request.is404 ? 'read' : request.routeOptions.config.access;
    if (access === undefined) throw new Error(`${request.method} ${request.routeOptions.url} names no access class`);
    if (enter !== null && access !== 'open') await enter(request, reply, access);
    // Open routes may show more to a caller with a token.
    else if (tokens !== null) request.principal = tokens.find(tokenOf(request.headers.authorization) ?? '');
  });
}

function checkHost(request: FastifyRequest, listenHost: string): void {
  const { host, origin } = request.headers;
  // Which of two names a proxy in front of us has checked is unknown.
  const hosts = request.raw.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host');
  if (hosts.length > 1) throw new Problem(400, 'The request has more than one Host header: send one.');
  if (!isAllowedHost(host, listenHost))
    throw new Problem(
      403,
      `This server does not answer under the name ${JSON.stringify((host ?? '').slice(0, 100))}: use the name in HOST, or localhost on this machine.`,
    );
  if (!SAFE_METHODS.has(request.method) && !isOwnOrigin(origin, host!))
    throw new Problem(
      403,
      'Writes from pages of another origin are refused: send them from a program or from our own page.',
    );
}

async function tokenGate(
  app: FastifyInstance,
  tokens: Tokens,
): Promise<(request: FastifyRequest, reply: FastifyReply, access: AccessClass) => Promise<void>> {
  await app.register(rateLimit, { global: false, timeWindow: MINUTE_MS });
  const failures: RateCheck = app.createRateLimit({ max: FAILURES_PER_MINUTE });
  const rates = new Map<AccessClass, RateCheck>();
  for (const [access, max] of Object.entries(REQUESTS_PER_MINUTE) as [AccessClass, number][])
    rates.set(access, app.createRateLimit({ max, keyGenerator: (request) => request.principal!.id }));
  return async (request, reply, access) => {
    request.principal = await authenticate(request, reply, tokens, failures);
    if (!ALLOWED[request.principal.role].has(access))
      throw new Problem(
        403,
        `Your token has the role ${request.principal.role}; this needs ${rolesFor(access).join(' or ')}.`,
      );
    const rate = await rates.get(access)!(request);
    if (rate.isExceeded) throw tooMany('Your token has used up its requests for this minute', rate.ttlInSeconds);
  };
}

async function authenticate(
  request: FastifyRequest,
  reply: FastifyReply,
  tokens: Tokens,
  failures: RateCheck,
): Promise<Principal> {
  const token = tokenOf(request.headers.authorization);
  const principal = token === null ? null : tokens.find(token);
  if (principal !== null) return principal;
  // Only failures are counted, and a valid token always passes: no one can lock out others at a shared address.
  const failed = await failures(request);
  if (failed.isExceeded) throw tooMany('Too many requests without a valid token', failed.ttlInSeconds);
  const challenge = request.routeOptions.config.page
    ? 'Basic realm="freshet", charset="UTF-8"'
    : 'Bearer realm="freshet"';
  reply.header('www-authenticate', challenge);
  throw new Problem(
    401,
    token === null
      ? 'A token is required: send the header "Authorization: Bearer <token>" (in a browser the token is the password).'
      : 'The token is not known: ask the operator of this server for one.',
  );
}

function tooMany(what: string, seconds = 60): Problem {
  return new Problem(429, `${what}: try again in ${seconds} s.`, { retryAfterS: seconds });
}
