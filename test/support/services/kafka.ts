/** A real Kafka for tests: TEST_KAFKA_BROKERS or KAFKA_BROKERS, otherwise a container, or a broker from its jars. */
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../../runtime/process/errors.js';
import { kafkaJars } from './kafka-jars.js';
import { type BrokerOptions, freePort, LocalBroker } from './local-broker.js';
import { announce, isRequired, refuseStandIn } from './service.js';

const CONTAINER_IMAGE = 'apache/kafka:4.1.0';
const CONTAINER_RUNTIME_WAIT_MS = 5_000;

export interface RunningKafka {
  /** host:port, several separated by commas. */
  readonly brokers: string;
  /** One line for the reader of a test run. */
  readonly how: string;
  /** The broker's pid, if it runs on this machine as our process: for fault tests. */
  readonly pid?: number;
  stop(): Promise<void>;
}

/** A given Kafka is shared by tests, so their topics need unique names. Throws if none is available. */
export async function startKafka(): Promise<RunningKafka> {
  const kafka = await obtain();
  announce('kafka', kafka.how);
  return kafka;
}

async function obtain(): Promise<RunningKafka> {
  const given = process.env['TEST_KAFKA_BROKERS'] || process.env['KAFKA_BROKERS'];
  if (given) return { brokers: given, how: `given (${given})`, stop: async () => undefined };
  const container = await startContainer();
  if ('brokers' in container) return container;
  const local = await startFromJars();
  if ('brokers' in local) return local;
  throw new Error(`No Kafka is available: KAFKA_BROKERS is not set; ${container.missing}; ${local.missing}.`);
}

/** For tests of Kafka alone: a reason to skip them if none is available, unless REQUIRE_REAL names kafka. */
export async function kafkaOrReason(): Promise<{ kafka: RunningKafka; skip: false } | { kafka: null; skip: string }> {
  try {
    return { kafka: await startKafka(), skip: false };
  } catch (error) {
    if (isRequired('kafka')) throw error;
    return { kafka: null, skip: messageOf(error) };
  }
}

/**
 * A private broker that a test may kill and restart, or the reason why there is none (thrown if REQUIRE_REAL names
 * kafka).
 */
export async function startBroker(options: BrokerOptions = {}): Promise<LocalBroker | { missing: string }> {
  const jars = await kafkaJars();
  if (!('missing' in jars)) return LocalBroker.create(jars.folder, options);
  refuseStandIn('kafka', `the embedded log (${jars.missing})`);
  return jars;
}

async function startFromJars(): Promise<RunningKafka | { missing: string }> {
  const jars = await kafkaJars();
  if ('missing' in jars) return jars;
  const broker = await LocalBroker.create(jars.folder);
  return {
    brokers: broker.address,
    how: `broker from jars at ${broker.address}`,
    ...(broker.pid === undefined ? {} : { pid: broker.pid }),
    stop: () => broker.stop(),
  };
}

/** A docker command without a daemon may be in PATH, so the library is tried, with a short time-out. */
async function startContainer(): Promise<RunningKafka | { missing: string }> {
  const { GenericContainer, getContainerRuntimeClient, Wait } = await import('testcontainers');
  const works = await Promise.race([
    getContainerRuntimeClient().then(
      () => true,
      () => false,
    ),
    sleep(CONTAINER_RUNTIME_WAIT_MS, false, { ref: false }),
  ]);
  if (!works) return { missing: 'no container runtime is working' };
  // The broker must know in advance under which port it will be reached.
  const port = await freePort();
  try {
    const container = await new GenericContainer(CONTAINER_IMAGE)
      .withExposedPorts({ container: 9092, host: port })
      .withEnvironment({
        KAFKA_NODE_ID: '1',
        KAFKA_PROCESS_ROLES: 'broker,controller',
        KAFKA_LISTENERS: 'PLAINTEXT://:9092,CONTROLLER://:9093',
        KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://127.0.0.1:${port}`,
        KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
        KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
        KAFKA_CONTROLLER_QUORUM_VOTERS: '1@localhost:9093',
        KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
        KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '1',
        KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: '1',
        KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: '1',
        KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
      })
      .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
      .start();
    const brokers = `${container.getHost()}:${port}`;
    return {
      brokers,
      how: `container ${CONTAINER_IMAGE} at ${brokers}`,
      stop: async () => {
        await container.stop();
      },
    };
  } catch (error) {
    return { missing: `the container ${CONTAINER_IMAGE} did not start (${messageOf(error)})` };
  }
}
