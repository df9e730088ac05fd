/**
 * One connection to one broker, and an owner's set of them. A broker answers the requests of a connection in order, and
 * a fetch, a produce with acks=all or a join may take long: so every reader, writer and membership has its own
 * connections, and a link sends one request at a time.
 */
import { FreshetError, messageOf } from '../../../process/errors.js';
import { LinkError } from '../wire/errors.js';
import { type Exchange, ResponseReader } from '../wire/wire.js';
import { type ConnectionOptions, type KafkajsConnection, newBroker } from './kafkajs.js';
import { closedError } from './retry.js';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export function addressText({ host, port }: Address): string {
  return `${host}:${port}`;
}

/** The version that we use of each request, by API key: the last before the flexible encoding, or that of Kafka 2.4. */
const VERSIONS: readonly (readonly [apiKey: number, version: number])[] = [
  [0, 8],
  [1, 11],
  [2, 3],
  [3, 6],
  [8, 5],
  [9, 4],
  [10, 2],
  [11, 5],
  [12, 3],
  [13, 3],
  [14, 3],
  [19, 4],
  [20, 3],
  [22, 1],
  [24, 1],
  [26, 1],
  [32, 2],
];

const HEADER_FIXED_BYTES = 14;

export class Link {
  readonly address: Address;
  readonly #connection: KafkajsConnection;
  readonly #options: ConnectionOptions;
  readonly #clientId: Buffer;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(address: Address, connection: KafkajsConnection, options: ConnectionOptions) {
    this.address = address;
    this.#connection = connection;
    this.#options = options;
    this.#clientId = Buffer.from(options.clientId);
    // kafkajs only handles "end" and "error"; a destroyed socket would leave its requests waiting.
    connection.socket?.once('close', () =>
      this.#abandon(new LinkError('connection', `${this}: connection closed`, true)),
    );
  }

  /** Connects, authenticates and checks the broker's versions. Throws LinkError, 'access', 'settings'. */
  static async open(address: Address, options: ConnectionOptions, signal: AbortSignal): Promise<Link> {
    const where = addressText(address);
    if (signal.aborted) throw closedError(where);
    const broker = newBroker(address.host, address.port, options);
    const connection = broker.connectionPool.pool[0];
    const abort = () => connection.socket?.destroy(closedError(where));
    signal.addEventListener('abort', abort, { once: true });
    try {
      await broker.connect();
    } catch (error) {
      discard(connection);
      throw asLinkError(error, where, false);
    } finally {
      signal.removeEventListener('abort', abort);
    }
    const link = new Link(address, connection, options);
    if (signal.aborted) {
      link.close();
      throw closedError(where);
    }
    for (const [apiKey, version] of VERSIONS) {
      const offered = broker.versions?.[apiKey];
      if (offered !== undefined && offered.minVersion <= version && version <= offered.maxVersion) continue;
      link.close();
      throw new FreshetError(
        'settings',
        `${where} is too old: Kafka 2.4 or newer is needed (request ${apiKey} v${version})`,
      );
    }
    return link;
  }

  toString(): string {
    return addressText(this.address);
  }

  get usable(): boolean {
    return !this.#closed && this.#connection.isConnected();
  }

  /** Sends a request after the earlier ones have been answered. Throws LinkError; then the link is closed. */
  send<A>(exchange: Exchange<A>): Promise<A> {
    const answer = this.#last.then(() => this.#exchange(exchange));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  /** Ends the connection at once, whatever it is waiting for. */
  close(): void {
    this.#abandon(new LinkError('connection', `${this}: connection closed on our side`, true));
  }

  async #exchange<A>(exchange: Exchange<A>): Promise<A> {
    if (!this.usable) throw new LinkError('connection', `${this}: not connected`, false);
    let sent = false;
    let payload: Buffer;
    try {
      // A SASL session may have expired since the last request.
      if (this.#options.sasl !== null && !this.#connection.isAuthenticated()) await this.#connection.authenticate();
      payload = await new Promise<Buffer>((resolve, reject) => {
        const correlationId = this.#connection.nextCorrelationId();
        this.#connection.requestQueue.push({
          entry: {
            apiKey: exchange.apiKey,
            apiName: exchange.name,
            apiVersion: exchange.version,
            correlationId,
            resolve: (answer) => resolve(answer.payload),
            reject,
          },
          expectResponse: true,
          requestTimeout: exchange.timeoutMs ?? this.#options.requestTimeoutMs,
          sendRequest: () => {
            sent = true;
            this.#write(exchange, correlationId);
          },
        });
      });
    } catch (error) {
      // Also after a timeout: the late answer must not reach a later request, nor a late write overtake its retry.
      this.close();
      throw asLinkError(error, `${this}: ${exchange.name}`, sent);
    }
    const reader = new ResponseReader(payload);
    try {
      const answer = exchange.decode(reader);
      if (reader.throttleMs > 0) this.#connection.requestQueue.maybeThrottle(reader.throttleMs);
      return answer;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.close();
      throw new FreshetError('internal', `${this}: the answer to ${exchange.name} is cut short`, { cause: error });
    }
  }

  #write({ apiKey, version, body }: Exchange<unknown>, correlationId: number): void {
    const socket = this.#connection.socket;
    if (socket === undefined) throw new LinkError('connection', `${this}: not connected`, false);
    const header = Buffer.allocUnsafe(HEADER_FIXED_BYTES + this.#clientId.length);
    const size = body.reduce((sum, piece) => sum + piece.length, header.length - 4);
    header.writeInt32BE(size, 0);
    header.writeInt16BE(apiKey, 4);
    header.writeInt16BE(version, 6);
    header.writeInt32BE(correlationId, 8);
    header.writeInt16BE(this.#clientId.length, 12);
    header.set(this.#clientId, HEADER_FIXED_BYTES);
    socket.cork();
    socket.write(header);
    for (const piece of body) socket.write(piece);
    socket.uncork();
  }

  #abandon(error: LinkError): void {
    this.#closed = true;
    this.#connection.requestQueue.rejectAll(error);
    discard(this.#connection);
  }
}

/** Closes a connection without waiting. */
function discard(connection: KafkajsConnection): void {
  connection.socket?.destroy();
  connection.disconnect().catch(() => undefined);
}

function asLinkError(error: unknown, what: string, sent: boolean): FreshetError {
  if (error instanceof FreshetError && !(error instanceof LinkError)) return error;
  const name = error instanceof Error ? error.name : '';
  if (name === 'KafkaJSSASLAuthenticationError' || name === 'KafkaJSSASLUnsupportedMechanism')
    return new FreshetError('access', `${what}: ${messageOf(error)}. Check the KAFKA_SASL_ settings.`, {
      cause: error,
    });
  const code = name === 'KafkaJSRequestTimeoutError' ? 'timeout' : 'connection';
  const message = error instanceof LinkError ? error.message : `${what}: ${messageOf(error)}`;
  return new LinkError(code, message, sent, { cause: error });
}

/** The connections of one owner, one per broker, opened when they are first needed. */
export class Links {
  readonly #addressOf: (nodeId: number) => Address | undefined;
  readonly #options: ConnectionOptions;
  readonly #signal: AbortSignal;
  readonly #links = new Map<number, { readonly opening: Promise<Link>; link: Link | null }>();

  /** The signal closes all of them. */
  constructor(addressOf: (nodeId: number) => Address | undefined, options: ConnectionOptions, signal: AbortSignal) {
    this.#addressOf = addressOf;
    this.#options = options;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#closeAll(), { once: true });
  }

  /** A usable connection to the broker. Throws LinkError (not sent), 'access', 'settings'; 'state' when closed. */
  async to(nodeId: number): Promise<Link> {
    const address = this.#addressOf(nodeId);
    if (address === undefined) throw new LinkError('connection', `broker ${nodeId} is not known`, false);
    const known = this.#links.get(nodeId);
    if (known !== undefined) {
      if (known.link === null) return known.opening;
      if (known.link.usable && addressText(known.link.address) === addressText(address)) return known.link;
      known.link.close();
    }
    const entry = { opening: Link.open(address, this.#options, this.#signal), link: null as Link | null };
    this.#links.set(nodeId, entry);
    try {
      entry.link = await entry.opening;
      return entry.link;
    } catch (error) {
      if (this.#links.get(nodeId) === entry) this.#links.delete(nodeId);
      throw error;
    }
  }

  #closeAll(): void {
    for (const { link } of this.#links.values()) link?.close();
    this.#links.clear();
  }
}
