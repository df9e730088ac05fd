/** A real process is killed by SIGKILL while it commits, syncs and compacts; the next one continues where it ended. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openEmbeddedLog } from '../../../../../runtime/log/embedded/log.js';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { Random } from '../../../../support/random.js';
import { PARTITIONS, WRITERS } from './crash-plan.js';
import { makeFolder } from './folders.js';
import { readPartition, tableOf } from './support.js';

const KILLS = 20;

/** Runs the writer until it has printed `lines` lines, kills it, and returns each writer's last acknowledged commit. */
async function writeAndKill(folder: string, lines: number, acknowledged: Map<string, number>): Promise<void> {
  const script = fileURLToPath(new URL('./crash-writer.js', import.meta.url));
  const child = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  let count = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const [name, n] = line.split(' ');
    acknowledged.set(name!, Number(n));
    if (++count === lines) child.kill('SIGKILL');
  }
  const [, signal] = await closed;
  assert.equal(signal, 'SIGKILL', 'the writer ended by itself');
}

test(`I4: ${KILLS} kills lose no acknowledged commit and leave no partial one`, { timeout: 120_000 }, async () => {
  const folder = await makeFolder();
  const random = new Random(7);
  const acknowledged = new Map<string, number>();
  for (let kill = 0; kill < KILLS; kill++) {
    await writeAndKill(folder, 1 + random.below(200), acknowledged);
    if (kill % 4 !== 3) continue;
    const log = await openEmbeddedLog(folder, silentLogger);
    const latest = tableOf(await readPartition(log, 'latest'));
    for (const name of WRITERS) {
      const last = latest.has(name) ? Number(latest.get(name)) : -1;
      assert.ok(last >= (acknowledged.get(name) ?? -1), `${name}: ${acknowledged.get(name)} was acknowledged`);
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const rows = (await readPartition(log, 'rows', partition)).filter((row) => row.key === name);
        const expected: string[] = [];
        for (let n = 0; n <= last; n++) for (let i = 0; i <= n % 3; i++) expected.push(`${n} ${i}`);
        assert.deepEqual(
          rows.map((row) => row.value),
          expected,
        );
      }
    }
    await log.close();
  }
  assert.equal(acknowledged.size, WRITERS.length);
});
