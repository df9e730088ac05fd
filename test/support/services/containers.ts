/** Services in containers, if a container runtime answers. A docker command in PATH proves nothing: it is tried. */
import type { GenericContainer, StartedTestContainer } from 'testcontainers';

const ANSWER_MS_MAX = 10_000;

export interface ContainerPlan {
  readonly image: string;
  readonly port: number;
  readonly environment?: Readonly<Record<string, string>>;
  readonly command?: readonly string[];
  /** The log line that shows it is ready, and how often it appears. */
  readonly readyLog: RegExp;
  readonly readyTimes?: number;
}

export interface RunningContainer {
  readonly host: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** Starts a container; null if no runtime answers. Throws if one answers but the container does not start. */
export async function startContainer(plan: ContainerPlan): Promise<RunningContainer | null> {
  const containers = await import('testcontainers').catch(() => null);
  if (containers === null || !(await answers(containers.getContainerRuntimeClient()))) return null;
  const prepared: GenericContainer = new containers.GenericContainer(plan.image)
    .withExposedPorts(plan.port)
    .withEnvironment({ ...plan.environment })
    .withWaitStrategy(containers.Wait.forLogMessage(plan.readyLog, plan.readyTimes ?? 1));
  if (plan.command !== undefined) prepared.withCommand([...plan.command]);
  const started: StartedTestContainer = await prepared.start();
  return {
    host: started.getHost(),
    port: started.getMappedPort(plan.port),
    stop: async () => {
      await started.stop();
    },
  };
}

async function answers(client: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ANSWER_MS_MAX);
  });
  const known = client.then(
    () => true,
    () => false,
  );
  try {
    return await Promise.race([known, late]);
  } finally {
    clearTimeout(timer);
  }
}
