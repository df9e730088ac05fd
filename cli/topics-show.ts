/** `freshet topics show`: one topic, its declaration and its current state. */
import { Command } from 'commander';
import { applyOptionsOf } from '../runtime/log/apply-topics.js';
import { avroType } from '../schemas/codec.js';
import type { TopicState } from '../serving/reading/topic-states.js';
import { allTopics } from '../topics/all.js';
import { compareTopic, declaredState, partitionsOf } from '../topics/apply.js';
import type { TopicDeclaration } from '../topics/topic.js';
import type { LogAccess } from './access/access.js';
import { openLogAccess } from './access/open.js';
import { type Shell, UsageError } from './shell.js';
import { drawTable } from './table.js';

export function topicsShowCommand(shell: Shell): Command {
  return new Command('show')
    .description('Shows one topic: what it is for, its record, who writes and reads it, its partitions.')
    .argument('<topic>')
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet topics show events')
    .action(async (name: string, { json }: { readonly json?: true }) => {
      const declaration = declarationOf(name);
      const access = await openLogAccess(shell);
      try {
        const state = (await access.topics()).find((topic) => topic.name === name)!;
        const { partitions, offsets } = state;
        const differences = await differencesOf(shell, access, declaration);
        if (json) await shell.json({ ...declaration, fields: fieldsOf(declaration), partitions, offsets, differences });
        else await shell.line(describe(declaration, state, differences));
      } finally {
        await access.close();
      }
    });
}

function declarationOf(name: string): TopicDeclaration {
  const declarations = allTopics();
  const found = declarations.find((declaration) => declaration.name === name);
  if (found === undefined)
    throw new UsageError(
      `There is no topic ${name}; the topics are ${declarations.map((known) => known.name).join(', ')}.`,
    );
  return found;
}

/** None if the topic does not exist, and none through a running Freshet, which has compared them at its start. */
async function differencesOf(shell: Shell, { log }: LogAccess, declaration: TopicDeclaration): Promise<string[]> {
  const found = log === null ? null : await log.admin.describeTopic(declaration.name);
  if (log === null || found === null) return [];
  const partitions = partitionsOf(declaration, applyOptionsOf(log, shell.settings));
  return compareTopic(declaredState(declaration, partitions), found);
}

interface AvroField {
  readonly name: string;
  readonly type: unknown;
}

function fieldsOf({ schema }: TopicDeclaration): AvroField[] {
  const json = avroType(schema).schema() as { fields?: readonly AvroField[] };
  return (json.fields ?? []).map(({ name, type }) => ({ name, type }));
}

function describe(declaration: TopicDeclaration, state: TopicState, differences: readonly string[]): string {
  const { name, doc, key, schema, cleanup, retentionDays, logAppendTime, owner, readers } = declaration;
  const kept = retentionDays === null ? 'the latest value of each key' : `${retentionDays} days (${cleanup})`;
  const fields = fieldsOf(declaration).map((field) => field.name);
  return [
    `${name}: ${doc}`,
    `  key         ${key}`,
    `  record      ${schema}: ${fields.join(', ')}`,
    `  kept        ${kept}`,
    `  time        ${logAppendTime ? 'when it reached the log' : 'when it was sent'}`,
    `  written by  ${owner}`,
    `  read by     ${readers.length === 0 ? 'no part of Freshet' : readers.join(', ')}`,
    ...differences.map((difference) => `  differs     ${difference}`),
    '',
    state.partitions === 0 ? 'It does not exist yet: run "freshet topics apply".' : drawPartitions(state),
  ].join('\n');
}

function drawPartitions({ offsets }: TopicState): string {
  return drawTable(
    ['partition', 'first offset', 'end', 'high watermark'],
    offsets.map(({ partition, earliest, last_stable, high_watermark }) => [
      String(partition),
      earliest,
      last_stable,
      high_watermark,
    ]),
  );
}
