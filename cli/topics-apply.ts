/** `freshet topics apply`: creates missing topics, compares the others, and deletes only those named. */
import { Command } from 'commander';
import { applyOptionsOf, refusalsAsErrors } from '../runtime/log/apply-topics.js';
import type { Log } from '../runtime/log/log.js';
import { FreshetError } from '../runtime/process/errors.js';
import { allTopics } from '../topics/all.js';
import { applyTopics, type TopicReport } from '../topics/apply.js';
import type { TopicDeclaration } from '../topics/topic.js';
import type { LogAccess } from './access/access.js';
import { openLogAccess } from './access/open.js';
import { type Shell, UsageError } from './shell.js';
import { drawTable } from './table.js';

interface ApplyCommandOptions {
  readonly delete?: readonly string[];
  readonly dryRun?: true;
  readonly json?: true;
}

export function topicsApplyCommand(shell: Shell): Command {
  return new Command('apply')
    .description(
      'Creates topics that are missing and compares the others with their declarations. Changes nothing, and deletes only topics named with --delete. Fails, with nothing created, if a difference would make results wrong.',
    )
    .option('--delete <topic...>', 'delete these topics, which must not be declared')
    .option('--dry-run', 'only compare')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', '\nExample:\n  $ KAFKA_BROKERS=localhost:9092 freshet topics apply')
    .action((options: ApplyCommandOptions) => apply(shell, options));
}

async function apply(shell: Shell, options: ApplyCommandOptions): Promise<void> {
  const declarations = allTopics();
  const unwanted = options.delete ?? [];
  refuseDeclared(unwanted, declarations);
  const access = await openLogAccess(shell);
  try {
    const { log } = access;
    if (log === null) return await reportThroughHolder(shell, access, options);
    const applyOptions = { ...applyOptionsOf(log, shell.settings), dryRun: options.dryRun === true };
    const reports = await refusalsAsErrors(applyTopics(log.admin, declarations, applyOptions));
    const deleted = options.dryRun ? [] : await deleteTopics(log, unwanted);
    await report(shell, options, reports, deleted);
  } finally {
    await access.close();
  }
}

/** A running Freshet has created and compared the topics at its start; from here they can only be inspected. */
async function reportThroughHolder(shell: Shell, access: LogAccess, options: ApplyCommandOptions): Promise<void> {
  if (options.delete !== undefined)
    throw new FreshetError('locked', `${access.where} holds the log: stop it before deleting topics.`);
  const reports = (await access.topics()).map(
    ({ name, partitions }): TopicReport => ({
      name,
      action: partitions > 0 ? 'same' : 'missing',
      partitions,
      differences: [],
    }),
  );
  await report(shell, options, reports, []);
  if (reports.some(({ action }) => action === 'missing'))
    throw new FreshetError('locked', `${access.where} holds the log: restart it to create what is missing.`);
}

function refuseDeclared(names: readonly string[], declarations: readonly TopicDeclaration[]): void {
  for (const name of names) {
    if (declarations.some((declaration) => declaration.name === name))
      throw new UsageError(`Topic ${name} is declared and in use: it cannot be deleted.`);
  }
}

async function deleteTopics(log: Log, names: readonly string[]): Promise<string[]> {
  const existing = new Set(await log.admin.listTopics());
  for (const name of names)
    if (!existing.has(name)) throw new FreshetError('unknown_topic', `There is no topic ${name} to delete.`);
  for (const name of names) await log.admin.deleteTopic(name);
  return [...names];
}

const ACTIONS = { created: 'created', missing: 'missing', same: 'as declared', differs: 'differs' } as const;

async function report(
  shell: Shell,
  { json }: ApplyCommandOptions,
  reports: readonly TopicReport[],
  deleted: readonly string[],
): Promise<void> {
  if (json) return await shell.json({ topics: reports, deleted });
  const rows = reports.map(({ name, action, partitions }) => [name, ACTIONS[action], partitions]);
  await shell.line(drawTable(['topic', 'state', 'partitions'], rows));
  for (const name of deleted) await shell.line(`${name} deleted`);
  for (const { differences } of reports) for (const difference of differences) await shell.line(difference);
}
