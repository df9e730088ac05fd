/**
 * Stands between a client and one broker and does to single requests what networks do: passes them on, cuts the
 * connection before or after the broker has seen them, or keeps the answer back.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

export const API = {
  Produce: 0,
  Fetch: 1,
  FindCoordinator: 10,
  JoinGroup: 11,
  Heartbeat: 12,
  SyncGroup: 14,
  InitProducerId: 22,
  AddPartitionsToTxn: 24,
  EndTxn: 26,
} as const;

/** `lose-request`: cut before the broker sees it; `lose-answer`: cut when the broker has answered; `stall`: no answer. */
export type Fault = 'pass' | 'lose-request' | 'lose-answer' | 'stall';

export class FaultProxy {
  readonly port: number;
  /** Requests of each kind that were seen. */
  readonly seen = new Map<number, number>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #target = 0;
  #script: { readonly api: number; readonly fault: Fault; readonly done: () => void }[] = [];

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
    server.on('connection', (client) => this.#join(client));
  }

  /** Listens on a free loopback port; connections are refused until there is a target. */
  static async open(): Promise<FaultProxy> {
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('no address');
    return new FaultProxy(server, address.port);
  }

  /** Where connections go from now on. */
  target(port: number): void {
    this.#target = port;
  }

  /** The next request of this kind meets the fault; resolves when it has. */
  next(api: number, fault: Fault): Promise<void> {
    return new Promise((resolve) => this.#script.push({ api, fault, done: resolve }));
  }

  /** Cuts every connection there is. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cutAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket): void {
    const broker = connect({ port: this.#target, host: '127.0.0.1', noDelay: true });
    const cut = () => {
      client.destroy();
      broker.destroy();
      this.#sockets.delete(client);
    };
    this.#sockets.add(client);
    for (const socket of [client, broker]) socket.on('error', cut).on('close', cut);
    let afterAnswer: 'pass' | 'cut' | 'drop' = 'pass';
    const requests = new Frames((frame) => {
      const fault = this.#fault(frame.readInt16BE(4));
      if (fault === 'lose-request') return cut();
      if (fault === 'lose-answer') afterAnswer = 'cut';
      if (fault === 'stall') afterAnswer = 'drop';
      broker.write(frame);
    });
    const answers = new Frames((frame) => {
      if (afterAnswer === 'cut') cut();
      else if (afterAnswer === 'pass') client.write(frame);
    });
    client.on('data', (chunk) => requests.push(chunk));
    broker.on('data', (chunk) => answers.push(chunk));
  }

  #fault(api: number): Fault {
    this.seen.set(api, (this.seen.get(api) ?? 0) + 1);
    const at = this.#script.findIndex((step) => step.api === api);
    if (at === -1) return 'pass';
    const [step] = this.#script.splice(at, 1);
    step!.done();
    return step!.fault;
  }
}

/** Plain on purpose: the product's own way of cutting frames is under test here. */
class Frames {
  #waiting = Buffer.alloc(0);
  readonly #emit: (frame: Buffer) => void;

  constructor(emit: (frame: Buffer) => void) {
    this.#emit = emit;
  }

  push(chunk: Buffer): void {
    this.#waiting = Buffer.concat([this.#waiting, chunk]);
    while (this.#waiting.length >= 4) {
      const end = 4 + this.#waiting.readInt32BE(0);
      if (this.#waiting.length < end) return;
      const frame = this.#waiting.subarray(0, end);
      this.#waiting = this.#waiting.subarray(end);
      this.#emit(frame);
    }
  }
}
