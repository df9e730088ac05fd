/** The peer of the engine bench: the same job as a Kafka Streams program on the same broker. Needs Java and Maven. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { Log } from '../../runtime/log/log.js';
import { projectRoot } from '../../schemas/project-root.js';
import type { Figure } from './bench.js';

const SOURCE = join(projectRoot, 'test', 'bench', 'kafka-streams');
const BUILT = join(projectRoot, '.build', 'kafka-streams');
const OUTPUTS = ['peer-affinity', 'peer-popularity'];

/** Compiles it and fetches its jars; returns its class path. */
export async function buildPeer(): Promise<string> {
  const jars = `-DoutputDirectory=${join(BUILT, 'jars')}`;
  await promisify(execFile)('mvn', ['-q', 'compile', 'dependency:copy-dependencies', jars], { cwd: SOURCE });
  return [join(BUILT, 'classes'), join(BUILT, 'jars', '*')].join(delimiter);
}

export interface PeerRun {
  readonly perCpuSecond: number;
  readonly figures: readonly Figure[];
}

/** Runs the peer over all of `events`, which must already be in the log. */
export async function runPeer(log: Log, classPath: string, brokers: string, events: number): Promise<PeerRun> {
  const partitions = await log.partitionCount('events');
  for (const name of OUTPUTS) {
    if ((await log.admin.describeTopic(name)) !== null) continue;
    const config = {
      name,
      partitions,
      cleanup: 'compact',
      retentionMs: -1,
      logAppendTime: false,
      settings: {},
    } as const;
    await log.admin.createTopic(config);
  }
  const args = ['-Xmx3g', '-cp', classPath, 'freshet.bench.Peer', brokers, String(events), '100', 'memory'];
  const java = spawn('java', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  java.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  const [code] = (await once(java, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`the Kafka Streams peer ended with code ${code}`);
  const said = JSON.parse(out.slice(out.indexOf('{'))) as Record<
    'seconds' | 'cpu_seconds' | 'read' | 'rss_mib',
    number
  >;
  const perCpuSecond = said.read / said.cpu_seconds;
  return {
    perCpuSecond,
    figures: [
      { name: 'Kafka Streams: events per second', value: said.read / said.seconds, unit: 'events/s' },
      { name: 'Kafka Streams: events per CPU-second', value: perCpuSecond, unit: 'events/CPU-s' },
      { name: 'Kafka Streams: memory', value: said.rss_mib, unit: 'MiB' },
    ],
  };
}
