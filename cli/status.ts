/** `freshet status`: the processes of this data folder, where they listen, and what they wait for. */
import { Command } from 'commander';
import { z } from 'zod';
import { messageOf } from '../runtime/process/errors.js';
import { type Presence, presentIn } from '../runtime/process/presence.js';
import { ApiClient } from './access/api-client.js';
import { localTime } from './local-time.js';
import { Failed, type Shell } from './shell.js';
import { drawTable } from './table.js';

const readyAnswer = z.object({ status: z.enum(['ready', 'waiting']), waiting: z.array(z.string()) });
const ASK_MS = 5_000;

interface ProcessStatus extends Pick<Presence, 'pid' | 'host' | 'roles' | 'address' | 'since'> {
  readonly state: 'ready' | 'waiting' | 'unknown';
  /** What it waits for, or why its state is unknown. */
  readonly waiting: readonly string[];
}

export function statusCommand(shell: Shell): Command {
  return new Command('status')
    .summary('show the running processes and what they wait for')
    .description(
      'Shows the Freshet processes that use this data folder: their roles, the address of their health and metrics, and what they wait for. Exits with 1 unless all of them are ready.',
    )
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet status')
    .action(async ({ json }: { readonly json?: true }) => {
      const { FRESHET_DATA_DIR: folder } = shell.settings;
      const found = await Promise.all((await presentIn(folder)).map(statusOf));
      if (json) await shell.json({ processes: found });
      else if (found.length > 0) await shell.line(draw(found));
      if (found.length === 0 && !json)
        shell.note(`No Freshet uses the data folder ${folder}: "freshet up" starts one.`);
      if (found.length === 0 || found.some(({ state }) => state !== 'ready')) throw new Failed();
    });
}

async function statusOf({ pid, host, roles, address, since, token }: Presence): Promise<ProcessStatus> {
  const known = { pid, host, roles, address, since };
  if (address === null) return { ...known, state: 'unknown', waiting: ['it does not listen: METRICS_PORT is off'] };
  try {
    const isAnswer = (body: unknown) => readyAnswer.safeParse(body).success;
    const client = new ApiClient(address, token);
    const answer = await client.getEvenIf(isAnswer, '/health/ready', AbortSignal.timeout(ASK_MS));
    const { status, waiting } = readyAnswer.parse(answer);
    return { ...known, state: status, waiting };
  } catch (error) {
    return { ...known, state: 'unknown', waiting: [messageOf(error)] };
  }
}

function draw(processes: readonly ProcessStatus[]): string {
  return drawTable(
    ['process', 'roles', 'address', 'since', 'state', 'waits for'],
    processes.map(({ pid, roles, address, since, state, waiting }) => [
      pid,
      roles.join(', '),
      address ?? '-',
      localTime(new Date(since)),
      state,
      waiting.join('; ') || '-',
    ]),
  );
}
