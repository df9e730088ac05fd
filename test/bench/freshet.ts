/** The command in a separate process, from the same compiled code as the caller. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const STOP_MS_MAX = 15_000;

/** Settings of the caller's environment must not reach it: only what a process needs, and the given settings. */
function spawnFreshet(args: readonly string[], settings: Readonly<Record<string, string>>): ChildProcess {
  const { PATH, HOME, TMPDIR } = process.env;
  const env = { ...(PATH && { PATH }), ...(HOME && { HOME }), ...(TMPDIR && { TMPDIR }), ...settings };
  return spawn(process.execPath, [PROGRAM, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Runs a command to its end and returns its output. Throws with its output if it fails. */
export async function freshet(args: readonly string[], settings: Readonly<Record<string, string>>): Promise<string> {
  const child = spawnFreshet(args, settings);
  let out = '';
  let errors = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`freshet ${args.join(' ')} ended with code ${code}:\n${errors || out}`);
  return out;
}

export interface RunningFreshet {
  readonly pid: number;
  /** http://host:port */
  readonly address: string;
  stop(): Promise<void>;
}

/** `freshet up`; resolves when it reports that it is up. */
export async function freshetUp(
  settings: Readonly<Record<string, string>>,
  args: readonly string[] = ['--no-demo'],
): Promise<RunningFreshet> {
  const child = spawnFreshet(['up', '--json', ...args], { LOG_LEVEL: 'warn', PORT: '0', ...settings });
  let errors = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-20_000);
  });
  const ended = once(child, 'close').then(([code, signal]) => {
    throw new Error(`freshet up ended (${signal ?? `code ${code}`}):\n${errors}`);
  });
  ended.catch(() => undefined);
  const firstLine = once(createInterface({ input: child.stdout! }), 'line') as Promise<[string]>;
  const [line] = await Promise.race([firstLine, ended]);
  const { address } = JSON.parse(line) as { address: string };
  return {
    pid: child.pid!,
    address,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = once(child, 'close');
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
      await closed;
      clearTimeout(timer);
    },
  };
}
