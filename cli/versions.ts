/** `freshet versions`: shows the current version of each artefact, and switches between versions. */
import { Command, InvalidArgumentError } from 'commander';
import { ARTEFACTS, type Artefact } from '../publishing/layout.js';
import type { VersionEntry, VersionList } from '../publishing/versions/versions.js';
import { FreshetError } from '../runtime/process/errors.js';
import { openPublications } from './access/open-publications.js';
import type { Publications } from './access/publications.js';
import { localTime } from './local-time.js';
import { type Shell, UsageError } from './shell.js';
import { drawTable } from './table.js';
import { describeVersion } from './version-sheet.js';

interface JsonOption {
  readonly json?: true;
}

const VERSION_MAX = 2 ** 31 - 1;

export function versionsCommand(shell: Shell): Command {
  return new Command('versions')
    .summary('show what is published, and switch between versions')
    .description(
      'Shows which version of each artefact is current, and switches: promote, rollback and pin return once readers see the change. They go through a running Freshet if there is one, otherwise directly to the stores.',
    )
    .addHelpText('after', '\nExample:\n  $ freshet versions list')
    .addCommand(listCommand(shell))
    .addCommand(showCommand(shell))
    .addCommand(promoteCommand(shell))
    .addCommand(rollbackCommand(shell))
    .addCommand(pinCommand(shell));
}

function listCommand(shell: Shell): Command {
  return new Command('list')
    .description('Lists the current versions, or all versions of one artefact, newest first.')
    .argument('[artefact]', ARTEFACTS.join(', '), artefactOf)
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet versions list stopwords')
    .action(async (artefact: Artefact | undefined, { json }: JsonOption) => {
      await withPublications(shell, async ({ versions }) => {
        if (artefact !== undefined) {
          const list = await versions.list(artefact);
          if (json) await shell.json(list);
          else await shell.line(drawVersions(list));
          return;
        }
        const lists = await Promise.all(ARTEFACTS.map((one) => versions.list(one)));
        if (json) await shell.json({ artefacts: lists });
        else await shell.line(drawArtefacts(lists));
      });
    });
}

function showCommand(shell: Shell): Command {
  return new Command('show')
    .description('Shows where a version came from, what was counted and checked. Default: the current one.')
    .argument('<artefact>', ARTEFACTS.join(', '), artefactOf)
    .argument('[version]', 'its number', numberOf)
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet versions show popularity')
    .action(async (artefact: Artefact, version: number | undefined, { json }: JsonOption) => {
      await withPublications(shell, async ({ versions }) => {
        const list = await versions.list(artefact);
        const entry = entryOf(list, version ?? list.current);
        if (json) await shell.json({ artefact, ...entry });
        else await shell.line(describeVersion(artefact, entry));
      });
    });
}

function promoteCommand(shell: Shell): Command {
  return new Command('promote')
    .description('Makes a version current: the given one, by default the newest verified one.')
    .argument('<artefact>', ARTEFACTS.join(', '), artefactOf)
    .argument('[version]', 'its number', numberOf)
    .option('--json', 'print the versions as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet versions promote popularity 1')
    .action(async (artefact: Artefact, version: number | undefined, options: JsonOption) => {
      await change(shell, artefact, options, ({ versions }) => versions.promote(artefact, version));
    });
}

function rollbackCommand(shell: Shell): Command {
  return new Command('rollback')
    .description('Goes back to the version that was current before, without building anything.')
    .argument('<artefact>', ARTEFACTS.join(', '), artefactOf)
    .option('--to <version>', 'go back to this version', numberOf)
    .option('--reason <text>', 'kept with the switch')
    .option('--json', 'print the versions as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet versions rollback stopwords --reason "too many words"')
    .action(async (artefact: Artefact, options: JsonOption & { readonly to?: number; readonly reason?: string }) => {
      const { to, reason } = options;
      const wanted = { ...(to === undefined ? {} : { to }), ...(reason === undefined ? {} : { reason }) };
      await change(shell, artefact, options, ({ versions }) => versions.rollback(artefact, wanted));
    });
}

function pinCommand(shell: Shell): Command {
  return new Command('pin')
    .description('Keeps a version current whatever is published, until "none" is pinned.')
    .argument('<artefact>', ARTEFACTS.join(', '), artefactOf)
    .argument('<version>', 'its number, or none', (text) => (text === 'none' ? null : numberOf(text)))
    .option('--json', 'print the versions as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet versions pin popularity none')
    .action(async (artefact: Artefact, version: number | null, options: JsonOption) => {
      await change(shell, artefact, options, ({ versions }) => versions.pin(artefact, version));
    });
}

function artefactOf(name: string): Artefact {
  const found = ARTEFACTS.find((artefact) => artefact === name);
  if (found === undefined) throw new InvalidArgumentError(`The artefacts are ${ARTEFACTS.join(', ')}.`);
  return found;
}

function numberOf(text: string): number {
  const number = Number(text);
  if (!/^[1-9]\d*$/.test(text) || number > VERSION_MAX)
    throw new InvalidArgumentError('It must be the number of a version: a whole number of at least 1.');
  return number;
}

function entryOf({ artefact, versions }: VersionList, version: number | null): VersionEntry {
  const found = versions.find((entry) => entry.version === version);
  if (found !== undefined) return found;
  if (version === null) throw new FreshetError('state', `No version of ${artefact} is published yet.`);
  const numbers = versions.map((entry) => entry.version).join(', ');
  throw new UsageError(`There is no version ${version} of ${artefact}; there are ${numbers || 'none'}.`);
}

async function withPublications(shell: Shell, use: (publications: Publications) => Promise<void>): Promise<void> {
  const publications = await openPublications(shell);
  try {
    await use(publications);
  } finally {
    await publications.close();
  }
}

async function change(
  shell: Shell,
  artefact: Artefact,
  { json }: JsonOption,
  act: (publications: Publications) => Promise<VersionList>,
): Promise<void> {
  await withPublications(shell, async (publications) => {
    const before = await publications.versions.list(artefact);
    const now = await act(publications);
    if (json) await shell.json(now);
    else await shell.line(toldChange(before, now));
  });
}

function toldChange(before: VersionList, { artefact, current, pinned }: VersionList): string {
  const was = before.current === null ? '' : ` (it was version ${before.current})`;
  const moved =
    current === before.current
      ? `${artefact}: version ${current ?? 'none'} stays current`
      : `${artefact}: version ${current} is current now${was}`;
  if (pinned !== null) return `${moved}; version ${pinned} is pinned, so no new one replaces it.`;
  return before.pinned === null ? `${moved}.` : `${moved}; nothing is pinned now.`;
}

function drawArtefacts(lists: readonly VersionList[]): string {
  const known = lists.filter(({ versions }) => versions.length > 0);
  if (known.length === 0) return 'Nothing is published yet.';
  return drawTable(
    ['artefact', 'current', 'since', 'pinned', 'versions'],
    known.map(({ artefact, current, pinned, versions }) => {
      const since = versions.find(({ version }) => version === current)?.activated_at ?? null;
      return [artefact, name(current), localTime(since), name(pinned), versions.length];
    }),
  );
}

function drawVersions({ artefact, pinned, versions }: VersionList): string {
  if (versions.length === 0) return `${artefact} has no version yet.`;
  return drawTable(
    ['version', 'state', 'made', 'current since', 'counts', 'checks', 'reason'],
    versions.map((entry) => {
      const { version, state, created_at, activated_at, reaped, reason, manifest } = entry;
      const states = [state, ...(version === pinned ? ['pinned'] : []), ...(reaped ? ['data gone'] : [])];
      const checks = manifest.checks ?? [];
      const passed = checks.filter((check) => check.passed).length;
      return [
        String(version),
        states.join(', '),
        localTime(created_at),
        localTime(activated_at),
        countsOf(manifest.counts ?? {}),
        checks.length === 0 ? '-' : `${passed} of ${checks.length} passed`,
        reason ?? '',
      ];
    }),
  );
}

/** Zero counts are left out. */
function countsOf(counts: Readonly<Record<string, number>>): string {
  const texts = Object.entries(counts)
    .filter(([, count]) => count !== 0)
    .map(([what, count]) => `${count.toLocaleString('en-US')} ${what.replaceAll('_', ' ')}`);
  return texts.join(', ') || '-';
}

function name(version: number | null): string {
  return version === null ? '-' : String(version);
}
