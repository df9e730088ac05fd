/**
 * Identifies a process beyond its pid: pids are reused, so a lock also names the start time, the machine's boot and the
 * container. Where the system does not report them (Windows), the pid alone decides.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { constants, hostname } from 'node:os';
import { z } from 'zod';

export const processIdentity = z.object({
  pid: z.number().int().positive(),
  /** When the process started, in a form that can only be compared; '' if unknown. */
  start_time: z.string(),
  host: z.string(),
  /** Identifies the current boot of the machine. */
  boot: z.string(),
  /** The space in which pids are unique: a container has its own. */
  pid_space: z.string(),
});

type ProcessIdentity = z.infer<typeof processIdentity>;

/**
 * `ending`: killed, but not gone yet. `elsewhere`: in another machine or container, whose processes cannot be seen from
 * here.
 */
type Liveness = 'alive' | 'ending' | 'dead' | 'elsewhere';

export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, start_time: startTimeOf(process.pid), ...place() };
}

export function livenessOf(identity: ProcessIdentity): Liveness {
  const here = place();
  if (identity.host === here.host && identity.boot !== here.boot) return 'dead';
  if (identity.host !== here.host || identity.pid_space !== here.pid_space) return 'elsewhere';
  try {
    process.kill(identity.pid, 0);
  } catch (error) {
    // EPERM: it exists, but belongs to another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return 'dead';
  }
  if (identity.start_time !== startTimeOf(identity.pid)) return 'dead';
  return process.platform === 'linux' ? stateOf(identity.pid) : 'alive';
}

/**
 * A zombie has ended and only waits to be reaped, which in a container without an init process never happens. Its last
 * threads may still run for a moment. SIGKILL that is pending ends a process as soon as the kernel gets to it.
 */
function stateOf(pid: number): Liveness {
  const state = statOf(pid)[0];
  if (state === undefined || state === 'X') return 'dead';
  const threads = readOrEmpty(() => readdirSync(`/proc/${pid}/task`).join(' ')).split(' ');
  if (state === 'Z') return threads.length > 1 ? 'ending' : 'dead';
  const pending = /^ShdPnd:\s*([0-9a-f]+)/m.exec(readOrEmpty(() => readFileSync(`/proc/${pid}/status`, 'utf8')))?.[1];
  return pending !== undefined && (BigInt(`0x${pending}`) & SIGKILL_BIT) !== 0n ? 'ending' : 'alive';
}

const SIGKILL_BIT = 1n << BigInt(constants.signals.SIGKILL - 1);

/** Only Linux has pid namespaces; a laptop with another system may change its host name with the network. */
function place(): Pick<ProcessIdentity, 'host' | 'boot' | 'pid_space'> {
  if (process.platform !== 'linux') return { host: '', boot: '', pid_space: '' };
  return {
    host: hostname(),
    boot: readOrEmpty(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    pid_space: readOrEmpty(() => readlinkSync('/proc/self/ns/pid')),
  };
}

function startTimeOf(pid: number): string {
  if (process.platform === 'win32') return '';
  if (process.platform !== 'linux')
    return readOrEmpty(() => execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim());
  return statOf(pid)[19] ?? '';
}

/** Fields of /proc/<pid>/stat from the third on, which follow the command's name; that may contain blanks itself. */
function statOf(pid: number): readonly string[] {
  const stat = readOrEmpty(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return stat === '' ? [] : stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function readOrEmpty(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
