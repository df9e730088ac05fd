/**
 * Sits between clients and one broker and treats single requests as networks do: passes them on, cuts the connection
 * before or after the broker has seen them, holds back the request or the answer, or delivers one of them twice.
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

/**
 * `lose-request`: cut before the broker sees it; `lose-answer`: cut once the broker has answered; `stall`: no answer;
 * `repeat-request`: the broker gets the same bytes twice, the client the first answer; `repeat-answer`: the client gets
 * the same answer twice.
 */
export type Fault = 'pass' | 'lose-request' | 'lose-answer' | 'stall' | 'repeat-request' | 'repeat-answer';

/** A request that is held back for now. */
export interface HeldRequest {
  /** Resolves once there is one. */
  readonly met: Promise<void>;
  /** Delivers it to the broker, even if its sender no longer waits; resolves with the broker's answer as a frame. */
  release(): Promise<Buffer>;
}

type OnAnswer = 'pass' | 'cut' | 'drop' | 'repeat';

interface Step {
  readonly api: number;
  readonly holding: string;
  readonly fault: Fault | 'hold';
  readonly done: (deliver: () => Promise<Buffer>) => void;
}

/** What happens to one kind of answer, and who else wants to see it. */
interface Expected {
  readonly does: OnAnswer;
  readonly seen?: (answer: Buffer) => void;
}

export class FaultProxy {
  readonly port: number;
  /** Number of requests of each kind. */
  readonly seen = new Map<number, number>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #target = 0;
  #isUp = true;
  #script: Step[] = [];

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

  /** Sets the target of new connections. */
  target(port: number): void {
    this.#target = port;
  }

  /** The next request of this kind that contains the text meets the fault; resolves once it has. */
  next(api: number, fault: Fault, holding = ''): Promise<void> {
    return new Promise((resolve) => this.#script.push({ api, fault, holding, done: () => resolve() }));
  }

  /** The next request of this kind that contains the text is held until it is released. */
  hold(api: number, holding = ''): HeldRequest {
    let deliver: () => Promise<Buffer> = () => Promise.reject(new Error('nothing is held yet'));
    const met = new Promise<void>((resolve) => {
      const done: Step['done'] = (delivery) => {
        deliver = delivery;
        resolve();
      };
      this.#script.push({ api, fault: 'hold', holding, done });
    });
    return { met, release: () => deliver() };
  }

  /** Cuts every open connection. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Cuts every connection and accepts no new ones: the broker is alive but unreachable. */
  down(): void {
    this.#isUp = false;
    this.cutAll();
  }

  up(): void {
    this.#isUp = true;
  }

  async close(): Promise<void> {
    this.cutAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket): void {
    if (!this.#isUp) {
      client.on('error', () => undefined).destroy();
      return;
    }
    const broker = connect({ port: this.#target, host: '127.0.0.1', noDelay: true });
    const cut = () => {
      client.destroy();
      broker.destroy();
      this.#sockets.delete(client);
    };
    this.#sockets.add(client);
    for (const socket of [client, broker]) socket.on('error', cut).on('close', cut);
    // Brokers answer in the order of the requests.
    const expected: Expected[] = [];
    const send = (frame: Buffer, ...answers: Expected[]) => {
      expected.push(...answers);
      broker.write(frame);
    };
    const requests = new Frames((frame) => {
      const step = this.#stepFor(frame);
      if (step?.fault === 'hold') {
        const kept = Buffer.from(frame);
        step.done(() =>
          broker.destroyed
            ? this.#bring(kept)
            : new Promise((seen) => send(kept, { does: client.destroyed ? 'drop' : 'pass', seen })),
        );
        return;
      }
      step?.done(() => Promise.reject(new Error('this request was not held')));
      switch (step?.fault ?? 'pass') {
        case 'lose-request':
          return cut();
        case 'lose-answer':
          return send(frame, { does: 'cut' });
        case 'stall':
          return send(frame, { does: 'drop' });
        case 'repeat-answer':
          return send(frame, { does: 'repeat' });
        case 'repeat-request':
          return send(Buffer.concat([frame, frame]), { does: 'pass' }, { does: 'drop' });
        default:
          return send(frame, { does: 'pass' });
      }
    });
    const answers = new Frames((frame) => {
      const { does, seen } = expected.shift()!;
      seen?.(Buffer.from(frame));
      if (does === 'cut') cut();
      else if (does !== 'drop') client.write(does === 'repeat' ? Buffer.concat([frame, frame]) : frame);
    });
    client.on('data', (chunk) => requests.push(chunk));
    broker.on('data', (chunk) => answers.push(chunk));
  }

  /** Over a separate connection, as from a router that had kept it. */
  #bring(frame: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const broker = connect({ port: this.#target, host: '127.0.0.1', noDelay: true });
      const answers = new Frames((answer) => {
        resolve(Buffer.from(answer));
        broker.destroy();
      });
      broker.on('error', reject).on('data', (chunk) => answers.push(chunk));
      broker.write(frame);
    });
  }

  #stepFor(frame: Buffer): Step | null {
    const api = frame.readInt16BE(4);
    this.seen.set(api, (this.seen.get(api) ?? 0) + 1);
    const at = this.#script.findIndex((step) => step.api === api && frame.includes(step.holding));
    return at === -1 ? null : this.#script.splice(at, 1)[0]!;
  }
}

/** Deliberately simple: the product's own way of splitting frames is under test here. */
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
