/**
 * A connection to a store that a test can cut: refuse connections, or lose the answer to a request already sent. It
 * does not know the protocol; services/fault-proxy.ts, for brokers, does.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A port, or the path of a Unix socket. */
export type Target = { readonly host: string; readonly port: number } | { readonly path: string };

export class CutProxy {
  readonly #target: Target;
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;
  #isUp = true;
  #losing: (() => boolean) | null = null;
  /** Called for each connection that is not taken. */
  onRefused: () => void = () => undefined;

  private constructor(target: Target) {
    this.#target = target;
  }

  /** Listens on a free loopback port. */
  static async to(target: Target): Promise<CutProxy> {
    const proxy = new CutProxy(target);
    proxy.#server = createServer((client) => proxy.#accept(client));
    await new Promise<void>((resolve) => proxy.#server!.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    const address = this.#server!.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** The same url through the proxy. */
  through(url: string): string {
    const changed = new URL(url);
    changed.hostname = '127.0.0.1';
    changed.port = String(this.port);
    return changed.href;
  }

  /** Cuts every connection and accepts no new ones. */
  down(): void {
    this.#isUp = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  up(): void {
    this.#isUp = true;
  }

  /**
   * From now on, the connection of the first request that contains `bytes` is cut at the server's answer, which the
   * client never sees. Resolves when it has happened.
   */
  loseAnswerTo(bytes: string): Promise<void> {
    return new Promise((resolve) => {
      this.#losing = () => {
        this.#losing = null;
        resolve();
        return true;
      };
      this.#wanted = Buffer.from(bytes);
    });
  }

  async close(): Promise<void> {
    this.down();
    await new Promise((resolve) => this.#server?.close(resolve));
  }

  #wanted = Buffer.alloc(0);

  #accept(client: Socket): void {
    if (!this.#isUp) {
      client.destroy();
      this.onRefused();
      return;
    }
    const server = connect(this.#target);
    let isDoomed = false;
    client.on('data', (chunk) => {
      if (this.#losing !== null && chunk.includes(this.#wanted)) isDoomed = true;
      server.write(chunk);
    });
    server.on('data', (chunk) => {
      if (isDoomed && this.#losing?.()) {
        client.destroy();
        return;
      }
      client.write(chunk);
    });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
  }
}
