/**
 * Identifies a process beyond its pid: pids are reused, so a lock also names the start time, the machine's boot and the
 * container. Where the system does not report them (Windows), the pid alone decides.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
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

/** `elsewhere`: in another machine or container, whose processes cannot be seen from here. */
type Liveness = 'alive' | 'dead' | 'elsewhere';

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
  return identity.start_time === startTimeOf(identity.pid) ? 'alive' : 'dead';
}

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
  // Field 22, counted after the command's name, which may itself contain blanks and parentheses.
  const stat = readOrEmpty(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function readOrEmpty(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
