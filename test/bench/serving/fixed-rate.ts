/** Requests at a fixed rate over HTTP, regardless of the answers. */
import { Agent, get } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

export type Path = (i: number) => string;

export interface Outcome {
  /** For those answered with 200 and no fallback, from when each was due. */
  readonly ms: readonly number[];
  readonly failed: number;
}

const LOAD_MS_MAX = 900_000;
const LOOK_MS = 20;

export class FixedRate {
  readonly #address: string;
  readonly #rate: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 256 });

  /** `rate`: requests per second. */
  constructor(address: string, rate: number) {
    this.#address = address;
    this.#rate = rate;
  }

  async run(path: Path, length: { readonly seconds: number } | { readonly until: Promise<unknown> }): Promise<Outcome> {
    const ms: number[] = [];
    let failed = 0;
    const most = 'seconds' in length ? length.seconds * this.#rate : Number.POSITIVE_INFINITY;
    let isOver = false;
    const end = () => {
      isOver = true;
    };
    if ('until' in length) length.until.then(end, end);
    const started = performance.now();
    const underWay: Promise<void>[] = [];
    for (let i = 0; i < most && !isOver; i++) {
      const due = started + (i * 1000) / this.#rate;
      const early = due - performance.now();
      if (early > 0) await pause(early);
      underWay.push(
        this.#ask(path(i)).then((isGood) => {
          if (isGood) ms.push(performance.now() - due);
          else failed++;
        }),
      );
    }
    await Promise.all(underWay);
    return { ms, failed };
  }

  /** Seconds until an answer names these versions. */
  async untilVersions(path: string, versions: string): Promise<number> {
    const started = performance.now();
    for (;;) {
      const response = await fetch(this.#address + path);
      await response.arrayBuffer();
      const seconds = (performance.now() - started) / 1000;
      if (response.headers.get('x-versions') === versions) return seconds;
      if (seconds * 1000 > LOAD_MS_MAX) throw new Error(`${versions} are not loaded after ${seconds} s`);
      await pause(LOOK_MS);
    }
  }

  #ask(path: string): Promise<boolean> {
    return new Promise((resolve) => {
      get(this.#address + path, { agent: this.#agent }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve(response.statusCode === 200 && !body.includes('"fallback"')));
      }).on('error', () => resolve(false));
    });
  }
}
