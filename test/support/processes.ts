/** Children of a test, and processes known only by their numbers. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** What every process of ours needs, without the settings of the test's own environment. */
export function bareEnvironment(): Record<string, string> {
  const { PATH, HOME, TMPDIR } = process.env;
  return { ...(PATH && { PATH }), ...(HOME && { HOME }), ...(TMPDIR && { TMPDIR }) };
}

/** Runs a compiled script of this folder in a separate process. */
export function runScript(script: URL, args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [fileURLToPath(script), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** The next line of its output. */
export async function nextLine(child: ChildProcess): Promise<string> {
  assert.ok(child.stdout !== null);
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, 'exit').then(() => assert.fail('the process ended without a line'));
  const [line] = (await Promise.race([once(lines, 'line'), ended])) as [string];
  return line;
}

/** kill -9, and waits for the end. */
export async function killHard(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

/** A process that has ended but was not yet reaped still has its number; it no longer has a program. */
export function isAlive(pid: number): boolean {
  try {
    if (process.platform === 'linux') readlinkSync(`/proc/${pid}/exe`);
    else process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * The watcher that a private server's start left (runtime/stores/private-server.ts): the shell that names the server.
 */
export async function watcherOf(serverPid: number): Promise<number> {
  const commands = commandLines();
  const server = commands.get(serverPid);
  assert.ok(server !== undefined, `no process ${serverPid}`);
  for (const [pid, command] of commands) if (command.includes('read -r line') && command.endsWith(server)) return pid;
  assert.fail(`process ${serverPid} has no watcher`);
}

/** Running programs by process number: on Linux without `ps`, which small images lack. */
function commandLines(): Map<number, string> {
  if (process.platform !== 'linux') {
    const listed = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8', maxBuffer: 2 ** 26 }).split('\n');
    return new Map(listed.map((line) => [Number.parseInt(line, 10), line.trim().replace(/^\d+\s+/, '')]));
  }
  const commands = new Map<number, string>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0').join(' ').trim();
      if (command !== '') commands.set(Number(name), command);
    } catch {
      // It ended in the meantime.
    }
  }
  return commands;
}

/**
 * kill -9 of a process and everything it started, directly or not: all of it is stopped first, so that nothing sees the
 * others die. Resolves when all are gone; returns the programs that were killed.
 */
export async function killFamily(root: number): Promise<string[]> {
  const commands = commandLines();
  const family = familyOf(root);
  for (const signal of ['SIGSTOP', 'SIGKILL'] as const) {
    for (const pid of family) {
      try {
        process.kill(pid, signal);
      } catch (error) {
        // A short-lived one, such as a database session, may have ended by itself.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
  }
  for (const pid of family) await untilGone(pid);
  return family.map((pid) => programOf(commands.get(pid) ?? ''));
}

/** Its children that are still running. */
export function childrenOf(pid: number): number[] {
  return processTable().flatMap((one) => (one.parent === pid ? [one.pid] : []));
}

/** Its children that run this program. */
export function childrenNamed(pid: number, program: string): number[] {
  const commands = commandLines();
  return childrenOf(pid).filter((child) => programOf(commands.get(child) ?? '') === program);
}

/** A server may set a new name before its arguments, as in `postgres: checkpointer`. */
function programOf(command: string): string {
  return basename(command.split(/[ :]/, 1)[0]!);
}

/** Descendants, and all members of process groups that they lead: processes left to init belong to us as well. */
function familyOf(root: number): number[] {
  const all = processTable();
  const family = new Set([root]);
  for (let before = 0; before < family.size; ) {
    before = family.size;
    for (const { pid, parent, group } of all) if (family.has(parent) || family.has(group)) family.add(pid);
  }
  return [...family];
}

function processTable(): { pid: number; parent: number; group: number }[] {
  const row = (pid: string, parent: string, group: string) => ({
    pid: Number(pid),
    parent: Number(parent),
    group: Number(group),
  });
  if (process.platform !== 'linux') {
    const listed = execFileSync('ps', ['-eo', 'pid=,ppid=,pgid='], { encoding: 'utf8', maxBuffer: 2 ** 26 });
    return listed
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/) as [string, string, string])
      .map((fields) => row(...fields));
  }
  const table = [];
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The name before the state may contain blanks and brackets.
      const [, parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ') as [string, string, string];
      table.push(row(pid, parent, group));
    } catch {
      // It ended in the meantime.
    }
  }
  return table;
}

/** Polls until the process is gone. */
export async function untilGone(pid: number, deadlineMs = 10_000): Promise<void> {
  const until = Date.now() + deadlineMs;
  while (isAlive(pid)) {
    assert.ok(Date.now() < until, `process ${pid} is still there after ${deadlineMs} ms`);
    await sleep(20);
  }
}
