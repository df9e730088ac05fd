/** `freshet topics`: shows declared and existing topics, and creates what is missing. */
import { Command } from 'commander';
import type { TopicState } from '../serving/reading/topic-states.js';
import { allTopics } from '../topics/all.js';
import { mermaid } from '../topics/graph.js';
import { openLogAccess } from './access/open.js';
import type { Shell } from './shell.js';
import { drawTable } from './table.js';
import { topicsApplyCommand } from './topics-apply.js';
import { drawGraph } from './topics-graph.js';
import { topicsShowCommand } from './topics-show.js';

interface JsonOption {
  readonly json?: true;
}

export function topicsCommand(shell: Shell): Command {
  return new Command('topics')
    .description('Shows the topics and creates those that are missing.')
    .addHelpText('after', '\nExample:\n  $ freshet topics list')
    .addCommand(topicsApplyCommand(shell))
    .addCommand(listCommand(shell))
    .addCommand(topicsShowCommand(shell))
    .addCommand(graphCommand(shell));
}

function listCommand(shell: Shell): Command {
  return new Command('list')
    .description('Lists the topics in the order in which data passes through them.')
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet topics list --json')
    .action(async ({ json }: JsonOption) => {
      const access = await openLogAccess(shell);
      try {
        const topics = await access.topics();
        if (json) await shell.json({ topics });
        else await shell.line(drawTopics(topics));
      } finally {
        await access.close();
      }
    });
}

function drawTopics(topics: readonly TopicState[]): string {
  return drawTable(
    ['topic', 'partitions', 'offsets', 'cleanup', 'key', 'written by'],
    topics.map((topic) => [topic.name, topic.partitions, spanOf(topic), topic.cleanup, topic.key, topic.owner]),
  );
}

/** Number of offsets in the log: an upper bound of its records, since control and compacted ones count too. */
function spanOf({ offsets }: TopicState): number {
  return offsets.reduce((sum, { earliest, last_stable }) => sum + last_stable - earliest, 0);
}

function graphCommand(shell: Shell): Command {
  return new Command('graph')
    .description('Draws which processes write and read which topics, from the declarations.')
    .option('--mermaid', 'as a Mermaid flow chart')
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet topics graph')
    .action(async (options: JsonOption & { readonly mermaid?: true }) => {
      const declarations = allTopics();
      if (options.json)
        await shell.json({ topics: declarations.map(({ name, owner, readers }) => ({ name, owner, readers })) });
      else await shell.line(options.mermaid ? mermaid(declarations).trimEnd() : drawGraph(declarations));
    });
}
