/**
 * The only door to kafkajs (2.2.4, pinned exactly). We use the parts that are hard to write well: sockets with TLS, the
 * SASL mechanisms, the version handshake and the framing of answers. Requests, answers and everything above them are
 * our own (wire.ts and the message files), because kafkajs creates an object for every record.
 *
 * The classes are reached by deep import, so their shapes are declared here and nowhere else.
 */
import { createRequire } from 'node:module';
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions as TlsOptions } from 'node:tls';
import { asError } from '../../../process/errors.js';
import type { Logger } from '../../../process/logger.js';
import { FrameAssembler } from '../wire/frames.js';

const require = createRequire(import.meta.url);

export interface SaslOptions {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
}

/** One connection. `socket` exists from the first connect on. */
export interface KafkajsConnection {
  readonly socket: Socket | undefined;
  readonly requestQueue: KafkajsRequestQueue;
  /** Bytes received and not yet split into answers. */
  readonly chunks: Buffer[];
  readonly bytesBuffered: number;
  isConnected(): boolean;
  /** Also false without SASL; authenticate() then does nothing. */
  isAuthenticated(): boolean;
  authenticate(): Promise<void>;
  disconnect(): Promise<boolean>;
  nextCorrelationId(): number;
}

interface KafkajsAnswer {
  readonly payload: Buffer;
}

interface KafkajsRequest {
  readonly entry: {
    readonly apiKey: number;
    readonly apiName: string;
    readonly apiVersion: number;
    readonly correlationId: number;
    readonly resolve: (answer: KafkajsAnswer) => void;
    readonly reject: (error: Error) => void;
  };
  readonly expectResponse: true;
  /** ms; never less than the connection's own request timeout. */
  readonly requestTimeout: number;
  readonly sendRequest: () => void;
}

interface KafkajsRequestQueue {
  push(request: KafkajsRequest): void;
  rejectAll(error: Error): void;
  maybeThrottle(ms: number): void;
}

interface KafkajsConnectionPool {
  /** kafkajs creates two connections; we connect only the first. */
  readonly pool: readonly [KafkajsConnection, KafkajsConnection];
}

type ApiVersions = Readonly<Record<number, { readonly minVersion: number; readonly maxVersion: number }>>;

interface KafkajsBroker {
  readonly versions: ApiVersions | null;
  readonly connectionPool: KafkajsConnectionPool;
  /** Connects, requests the versions, authenticates. */
  connect(): Promise<void>;
}

interface KafkajsLogger {
  namespace(name: string): KafkajsLogger;
}

interface LogEntry {
  readonly namespace: string;
  readonly level: number;
  readonly log: Readonly<Record<string, unknown>> & { readonly message: string };
}

interface SocketArguments {
  readonly host: string;
  readonly port: number;
  readonly ssl: TlsOptions | null;
  readonly onConnect: () => void;
}

interface PoolOptions {
  readonly host: string;
  readonly port: number;
  readonly rack: null;
  readonly ssl: TlsOptions | null;
  readonly sasl: SaslOptions | null;
  readonly clientId: string;
  readonly socketFactory: (socket: SocketArguments) => Socket;
  readonly connectionTimeout: number;
  readonly requestTimeout: number;
  readonly logger: KafkajsLogger;
}

interface BrokerOptions {
  readonly connectionPool: KafkajsConnectionPool;
  readonly logger: KafkajsLogger;
  readonly authenticationTimeout: number;
  readonly allowAutoTopicCreation: false;
}

const ConnectionPool: new (
  options: PoolOptions,
) => KafkajsConnectionPool = require('kafkajs/src/network/connectionPool');
const Broker: new (options: BrokerOptions) => KafkajsBroker = require('kafkajs/src/broker');
const loggers: {
  readonly LEVELS: { readonly ERROR: number; readonly DEBUG: number };
  createLogger(options: { level: number; logCreator: () => (entry: LogEntry) => void }): KafkajsLogger;
} = require('kafkajs/src/loggers');
const RequestQueue: { readonly prototype: MendableQueue } = require('kafkajs/src/network/requestQueue');

interface MendableQueue {
  readonly pending: readonly unknown[];
  readonly throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
}

const PENDING_CHECK_MS = 10;

/**
 * kafkajs starts a timer with a negative delay after every answer and again whenever it fires: each connection wakes
 * the process a thousand times a second for nothing (and Node 24 prints a warning). The timer is only needed while
 * requests wait.
 */
RequestQueue.prototype.scheduleCheckPendingRequests = function scheduleCheckPendingRequests(this: MendableQueue) {
  if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return;
  const waitMs = Math.max(this.throttledUntil - Date.now(), PENDING_CHECK_MS);
  this.throttleCheckTimeoutId = setTimeout(() => {
    this.throttleCheckTimeoutId = null;
    this.checkPendingRequests();
  }, waitMs);
};

const KEEP_ALIVE_MS = 30_000;
/** Sockets are read one at a time, so they can share one buffer. */
const READ_BUFFER = Buffer.allocUnsafeSlow(256 * 1024);

/**
 * Like the one of kafkajs, but without Nagle's delay (our requests are complete when written), and passing on whole
 * answers instead of chunks.
 */
function openSocket({ host, port, ssl, onConnect }: SocketArguments, connection: () => KafkajsConnection): Socket {
  const frames = new FrameAssembler((frame) => {
    // kafkajs leaves the empty rest of the last answer there, and would copy the next answer to join the two.
    const { chunks, bytesBuffered } = connection();
    if (bytesBuffered === 0) chunks.length = 0;
    socket.emit('data', frame);
  });
  const onread = {
    buffer: READ_BUFFER,
    callback: (length: number) => {
      try {
        frames.push(READ_BUFFER, length);
      } catch (error) {
        socket.destroy(asError(error));
      }
      return true;
    },
  };
  const socket: Socket =
    ssl === null
      ? connectPlain({ host, port, onread }, onConnect)
      : connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...ssl }, onConnect);
  return socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS);
}

export interface ConnectionOptions {
  readonly clientId: string;
  readonly ssl: TlsOptions | null;
  readonly sasl: SaslOptions | null;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly logger: Logger;
}

/** A broker that is not yet connected. */
export function newBroker(host: string, port: number, options: ConnectionOptions): KafkajsBroker {
  const logger = loggerFor(options.logger);
  const connectionPool: KafkajsConnectionPool = new ConnectionPool({
    host,
    port,
    rack: null,
    ssl: options.ssl,
    sasl: options.sasl,
    clientId: options.clientId,
    socketFactory: (socket) => openSocket(socket, () => connectionPool.pool[0]),
    connectionTimeout: options.connectTimeoutMs,
    requestTimeout: options.requestTimeoutMs,
    logger,
  });
  return new Broker({
    connectionPool,
    logger,
    authenticationTimeout: options.requestTimeoutMs,
    allowAutoTopicCreation: false,
  });
}

/**
 * Log lines of kafkajs, including its errors, go to our log at debug level: it reports every failed attempt to connect,
 * while cluster.ts reports once that a broker is gone and once that it is back.
 */
function loggerFor(logger: Logger): KafkajsLogger {
  const level = logger.isLevelEnabled('debug') ? loggers.LEVELS.DEBUG : loggers.LEVELS.ERROR;
  return loggers.createLogger({
    level,
    logCreator:
      () =>
      ({ namespace, log }) => {
        const { message, timestamp: _timestamp, logger: _logger, stack: _stack, ...rest } = log;
        logger.debug({ event: 'kafkajs', namespace, ...rest }, message);
      },
  });
}
