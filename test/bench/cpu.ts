/** Processor time and memory, of this process and of others on the same machine. */
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

/** Linux counts processor time for user space in hundredths of a second on every platform. */
const TICKS_PER_SECOND = 100;

/** Seconds of processor time a process and its threads have used; null if the system does not report it. */
export function cpuSecondsOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in brackets may contain blanks: fields are counted from after it. utime and stime are the 14th and 15th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return null;
  }
}

export interface Spent {
  readonly seconds: number;
  /** All threads of this process. */
  readonly cpuSeconds: number;
}

/** Starts measuring this process; the returned function reports what was spent since. */
export function stopwatch(): () => Spent {
  const started = performance.now();
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return { seconds: (performance.now() - started) / 1000, cpuSeconds: (user + system) / 1e6 };
  };
}

/** Largest memory this process ever had, MiB. */
export function peakMemoryMib(): number {
  return process.resourceUsage().maxRSS / 1024;
}
