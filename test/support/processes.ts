/** Children of a test, and processes known by their numbers only. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** Runs a compiled script of this folder as a process of its own. */
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

/** A process that ended but was not yet asked about still has its number; it no longer has a program. */
export function isAlive(pid: number): boolean {
  try {
    if (process.platform === 'linux') readlinkSync(`/proc/${pid}/exe`);
    else process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The watcher that a private server's start left behind (runtime/stores/private-server.ts): the shell that names it. */
export async function watcherOf(serverPid: number): Promise<number> {
  const commands = commandLines();
  const server = commands.get(serverPid);
  assert.ok(server !== undefined, `no process ${serverPid}`);
  for (const [pid, command] of commands) if (command.includes('read -r line') && command.endsWith(server)) return pid;
  assert.fail(`process ${serverPid} has no watcher`);
}

/** What runs, by process number: on Linux without `ps`, which small images lack. */
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
      // It ended while we looked.
    }
  }
  return commands;
}

/** Polls until the process is gone. */
export async function untilGone(pid: number, deadlineMs = 10_000): Promise<void> {
  const until = Date.now() + deadlineMs;
  while (isAlive(pid)) {
    assert.ok(Date.now() < until, `process ${pid} is still there after ${deadlineMs} ms`);
    await sleep(20);
  }
}
