/**
 * The host names that may reach us, and the pages that may write. A page that its owner points at our address by DNS
 * (rebinding) still sends its own name as Host; a page elsewhere that writes here still sends its own Origin.
 */
import { isIP, isIPv4 } from 'node:net';
import { hostname } from 'node:os';

/** True for names that only this machine can reach. */
export function isLoopback(host: string): boolean {
  const name = bare(host);
  return name === 'localhost' || name === '::1' || (isIPv4(name) && name.startsWith('127.'));
}

/** True for addresses that mean all interfaces. */
export function isAnyAddress(host: string): boolean {
  const name = bare(host);
  return name === '0.0.0.0' || name === '::';
}

/** Without brackets, in lower case. */
function bare(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
}

/** The name in a Host header, without its port; null if the header is invalid. */
function nameOf(header: string): string | null {
  const match = /^(\[[0-9a-f:.]+\]|[^:\s/@[\]]+)(?::\d{1,5})?$/i.exec(header);
  return match === null ? null : bare(match[1]!).replace(/\.$/, '');
}

/**
 * Allowed are loopback names and HOST; if HOST is not loopback, also this machine's name and plain addresses: a pod is
 * probed by its address, and rebinding needs a name.
 */
export function isAllowedHost(header: string | undefined, listenHost: string): boolean {
  const name = header === undefined ? null : nameOf(header);
  if (name === null) return false;
  if (isLoopback(name) || name === bare(listenHost)) return true;
  return !isLoopback(listenHost) && (isIP(name) !== 0 || name === hostname().toLowerCase());
}

/** True when a request with this Origin comes from our own page. Programs send no Origin. */
export function isOwnOrigin(origin: string | undefined, hostHeader: string): boolean {
  if (origin === undefined) return true;
  if (!URL.canParse(origin)) return false;
  const { protocol, host } = new URL(origin);
  if (protocol !== 'http:' && protocol !== 'https:') return false;
  // URL drops a default port; a Host header may still have it.
  const own = `${protocol}//${hostHeader}`;
  return URL.canParse(own) && new URL(own).host === host;
}
