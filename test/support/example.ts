/** Processes of examples and documents: their environment contains only what a process needs and the given settings. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';

/** PATH and the like, without the settings of the environment that runs the tests. */
export function bareEnvironment(): Record<string, string> {
  const { PATH, HOME, TMPDIR, LANG } = process.env;
  const kept = Object.entries({ PATH, HOME, TMPDIR, LANG }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept) as Record<string, string>;
}

export interface Ended {
  /** Null: a signal ended it. */
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

export interface Begun {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
  /** Everything on standard output so far. */
  output(): string;
  errors(): string;
  /** Resolves once the output matches; throws with the output if the process ends first. */
  until(pattern: RegExp): Promise<void>;
}

export interface BeginOptions {
  readonly settings?: Readonly<Record<string, string>>;
  readonly folder?: string;
  readonly input?: string;
  /** kill -9 after this long, ms (default 120 s). */
  readonly limitMs?: number;
  /** In a separate process group, which kill -9 then reaches as a whole. */
  readonly isGroup?: boolean;
}

/** Starts a process and keeps its output. */
export function begin(command: string, args: readonly string[], options: BeginOptions = {}): Begun {
  const { settings = {}, folder, input = '', limitMs = 120_000, isGroup = false } = options;
  const environment = { ...bareEnvironment(), ...settings };
  const child = spawn(command, [...args], { env: environment, cwd: folder, detached: isGroup });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  child.stdin.on('error', () => undefined).end(input);
  const timer = setTimeout(() => (isGroup ? process.kill(-child.pid!, 'SIGKILL') : child.kill('SIGKILL')), limitMs);
  const ended = once(child, 'close').then(([code]) => {
    clearTimeout(timer);
    return { code: code as number | null, output, errors };
  });
  const until = async (pattern: RegExp) => {
    while (!pattern.test(output)) {
      const more = await Promise.race([once(child.stdout, 'data').then(() => true), ended.then(() => false)]);
      if (!more && !pattern.test(output))
        throw new Error(`${command} ${args.join(' ')} ended before ${pattern}:\n${output}\n${errors.slice(-5_000)}`);
    }
  };
  return { child, ended, output: () => output, errors: () => errors, until };
}

/** Runs a process to its end. Throws with its output if the exit code is not 0. */
export async function run(command: string, args: readonly string[], options: BeginOptions = {}): Promise<string> {
  const { code, output, errors } = await begin(command, args, options).ended;
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${output}\n${errors}`);
  return output;
}
