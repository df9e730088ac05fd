/** `freshet topics`: what is declared, what is there, and bringing the one in line with the other. */
import { Command } from 'commander';
import { FreshetError } from '../runtime/errors.js';
import type { Log } from '../runtime/log.js';
import { avroType } from '../schemas/codec.js';
import { allTopics } from '../topics/all.js';
import type { TopicDeclaration } from '../topics/topic.js';
import type { LogAccess, TopicState } from './access/access.js';
import { openLogAccess } from './access/open.js';
import { applyTopics, compareTopic, type Difference, differenceSentence, type TopicReport } from './apply-topics.js';
import { Failed, type Shell, UsageError } from './shell.js';
import { drawTable } from './table.js';
import { drawMermaid, drawText, topicGraph } from './topics-graph.js';

interface JsonOption {
  readonly json?: true;
}

export function topicsCommand(shell: Shell): Command {
  return new Command('topics')
    .description('Shows the topics and creates those that are missing.')
    .addHelpText('after', '\nExample:\n  $ freshet topics list')
    .addCommand(applyCommand(shell))
    .addCommand(listCommand(shell))
    .addCommand(showCommand(shell))
    .addCommand(graphCommand(shell));
}

function applyCommand(shell: Shell): Command {
  return new Command('apply')
    .description(
      'Creates topics that are missing and compares the others with their declarations. Changes and deletes nothing, unless told by --delete. Fails when a difference would make results wrong.',
    )
    .option('--delete <topic...>', 'delete these topics, which must not be declared')
    .option('--dry-run', 'only compare')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', '\nExample:\n  $ KAFKA_BROKERS=localhost:9092 freshet topics apply')
    .action((options: ApplyCommandOptions) => apply(shell, options));
}

interface ApplyCommandOptions extends JsonOption {
  readonly delete?: readonly string[];
  readonly dryRun?: true;
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

/** A running Freshet has applied the topics at its start and compared them; from here they can only be looked at. */
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
  { json }: JsonOption,
  reports: readonly TopicReport[],
  deleted: readonly string[],
): Promise<void> {
  if (json) return await shell.json({ topics: reports, deleted });
  const rows = reports.map(({ name, action, partitions }) => [name, ACTIONS[action], partitions]);
  await shell.line(drawTable(['topic', 'state', 'partitions'], rows));
  for (const name of deleted) await shell.line(`${name} deleted`);
  for (const { differences } of reports) for (const difference of differences) await shell.line(difference);
}

function listCommand(shell: Shell): Command {
  return new Command('list')
    .description('Lists the topics in the order in which data meets them.')
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet topics list --json')
    .action(async ({ json }: JsonOption) => {
      const access = await openLogAccess(shell);
      try {
        const topics = await access.topics();
        if (json) await shell.json({ topics });
        else
          await shell.line(
            drawTable(
              ['topic', 'partitions', 'offsets', 'cleanup', 'key', 'written by'],
              topics.map((topic) => [
                topic.name,
                topic.partitions,
                spanOf(topic),
                topic.cleanup,
                topic.key,
                topic.owner,
              ]),
            ),
          );
      } finally {
        await access.close();
      }
    });
}

/** Offsets in the log: an upper bound of its records, since control and compacted ones count too. */
function spanOf({ offsets }: TopicState): number {
  return offsets.reduce((sum, { earliest, last_stable }) => sum + last_stable - earliest, 0);
}

function showCommand(shell: Shell): Command {
  return new Command('show')
    .description('Shows one topic: what it is for, its record, who writes and reads it, its partitions.')
    .argument('<topic>')
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet topics show events')
    .action(async (name: string, { json }: JsonOption) => {
      const declaration = declared(name);
      const access = await openLogAccess(shell);
      try {
        const state = (await access.topics()).find((topic) => topic.name === name)!;
        const options = { partitions: shell.settings.PARTITIONS ?? null };
        const differences =
          access.log === null ? [] : (await compareTopic(access.log, declaration, options)).differences;
        const shown = {
          ...declaration,
          fields: fieldsOf(declaration),
          partitions: state.partitions,
          offsets: state.offsets,
          differences,
        };
        if (json) await shell.json(shown);
        else await shell.line(describeTopic(declaration, state, differences));
      } finally {
        await access.close();
      }
    });
}

function declared(name: string): TopicDeclaration {
  const declarations = allTopics();
  const found = declarations.find((declaration) => declaration.name === name);
  if (found === undefined)
    throw new UsageError(
      `There is no topic ${name}; the topics are ${declarations.map((known) => known.name).join(', ')}.`,
    );
  return found;
}

interface AvroField {
  readonly name: string;
  readonly type: unknown;
}

function fieldsOf({ schema }: TopicDeclaration): AvroField[] {
  const json = avroType(schema).schema() as { fields?: readonly AvroField[] };
  return (json.fields ?? []).map(({ name, type }) => ({ name, type }));
}

function describeTopic(declaration: TopicDeclaration, state: TopicState, differences: readonly Difference[]): string {
  const { name, doc, key, schema, cleanup, retentionDays, logAppendTime, owner, readers } = declaration;
  const kept = retentionDays === null ? 'the latest value of each key' : `${retentionDays} days (${cleanup})`;
  return [
    `${name}: ${doc}`,
    `  key         ${key}`,
    `  record      ${schema}: ${fieldsOf(declaration)
      .map((field) => field.name)
      .join(', ')}`,
    `  kept        ${kept}`,
    `  time        ${logAppendTime ? 'when it reached the log' : 'when it was sent'}`,
    `  written by  ${owner}`,
    `  read by     ${readers.length === 0 ? 'nobody here' : readers.join(', ')}`,
    ...differences.map((difference) => `  differs     ${short(difference)}`),
    '',
    state.partitions === 0
      ? 'The topic does not exist yet: run "freshet topics apply".'
      : drawTable(
          ['partition', 'first offset', 'end', 'high watermark'],
          state.offsets.map(({ partition, earliest, last_stable, high_watermark }) => [
            String(partition),
            earliest,
            last_stable,
            high_watermark,
          ]),
        ),
  ].join('\n');
}

function graphCommand(shell: Shell): Command {
  return new Command('graph')
    .description('Draws who writes and who reads which topic, from the declarations.')
    .option('--mermaid', 'as a Mermaid flow chart')
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet topics graph')
    .action(async (options: JsonOption & { readonly mermaid?: true }) => {
      const graph = topicGraph(allTopics());
      if (options.json) await shell.json(graph);
      else await shell.line(options.mermaid ? drawMermaid(graph) : drawText(graph));
    });
}
