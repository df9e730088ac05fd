/** Calls to the API of the server this page came from. */

const TIMEOUT_MS = 5_000;
const TOKEN_KEY = 'freshet-token';

/** An answer that is not a success; `message` is the server's own sentence where it gave one. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

let token = sessionStorage.getItem(TOKEN_KEY);
let askForToken = () => Promise.reject(new ApiError(401, 'A token is required.'));
let asking = null;

/** `ask(wasRefused)` resolves with the token that a person has entered. */
export function onTokenNeeded(ask) {
  askForToken = ask;
}

/** Fetches JSON. Throws ApiError; status 0 when the server could not be reached. */
export async function call(path, { method = 'GET', body, accept = [], timeoutMs = TIMEOUT_MS } = {}) {
  for (;;) {
    const used = token;
    const response = await send(path, method, body, used, timeoutMs);
    if (response.status === 401) {
      if (used === token) await renewToken(used !== null);
      continue;
    }
    const answer = await response.json().catch(() => null);
    if (response.ok || accept.includes(response.status)) return answer;
    throw new ApiError(response.status, answer?.detail ?? `The server answered ${response.status}.`);
  }
}

async function send(path, method, body, used, timeoutMs) {
  const headers = {};
  if (used !== null) headers.authorization = `Bearer ${used}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  try {
    return await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store',
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch {
    throw new ApiError(0, 'The server cannot be reached.');
  }
}

/** All refused calls wait for the same dialog. */
async function renewToken(wasRefused) {
  asking ??= askForToken(wasRefused).finally(() => {
    asking = null;
  });
  token = await asking;
  sessionStorage.setItem(TOKEN_KEY, token);
}

/** Runs `step` repeatedly, `intervalMs` apart, one at a time; pauses while the page is hidden. */
export function poll(step, intervalMs) {
  let timer;
  let running = false;
  async function run() {
    clearTimeout(timer);
    if (running || document.hidden) return;
    running = true;
    const began = performance.now();
    try {
      await step();
    } finally {
      running = false;
      timer = setTimeout(run, Math.max(50, intervalMs - (performance.now() - began)));
    }
  }
  document.addEventListener('visibilitychange', run);
  run();
  return run;
}
