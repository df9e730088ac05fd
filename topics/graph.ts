/** Who writes and reads which topic: finds what nobody uses, and draws the picture in docs/ARCHITECTURE.md. */
import type { TopicDeclaration } from './topic.js';

/** Writers and readers that are no part of this code base. */
const OUTSIDE: ReadonlySet<string> = new Set(['producers', 'everyone']);

export interface Orphans {
  /** Topics that nobody reads. A changelog is read by its owner when it restores, so it is never among them. */
  readonly unread: readonly string[];
  /** Topics whose owner does not exist. */
  readonly unwritten: readonly string[];
  /** `topic → reader` where the reader does not exist. */
  readonly unknownReaders: readonly string[];
}

/** `parts`: names of everything that reads or writes topics in this code base. */
export function findOrphans(declarations: readonly TopicDeclaration[], parts: ReadonlySet<string>): Orphans {
  const exists = (name: string) => parts.has(name) || OUTSIDE.has(name);
  return {
    unread: declarations.filter((topic) => topic.readers.length === 0 && !isChangelog(topic)).map(({ name }) => name),
    unwritten: declarations.filter((topic) => !exists(topic.owner)).map(({ name }) => name),
    unknownReaders: declarations.flatMap((topic) =>
      topic.readers.filter((reader) => !exists(reader)).map((reader) => `${topic.name} → ${reader}`),
    ),
  };
}

export function isChangelog(topic: TopicDeclaration): boolean {
  return topic.name.endsWith('-changelog');
}

/** A Mermaid flowchart: writers and readers as rounded boxes, topics as cylinders, changelogs with a dotted way back. */
export function mermaid(declarations: readonly TopicDeclaration[]): string {
  const lines = ['flowchart LR'];
  const parts = new Set(declarations.flatMap(({ owner, readers }) => [owner, ...readers]));
  for (const part of [...parts].sort()) lines.push(`  ${partId(part)}([${part}])`);
  for (const topic of declarations) lines.push(`  ${topicId(topic)}[("${topic.name}")]`);
  for (const topic of declarations) {
    lines.push(`  ${partId(topic.owner)} --> ${topicId(topic)}`);
    if (isChangelog(topic)) lines.push(`  ${topicId(topic)} -.->|restore| ${partId(topic.owner)}`);
    for (const reader of topic.readers) lines.push(`  ${topicId(topic)} --> ${partId(reader)}`);
  }
  return `${lines.join('\n')}\n`;
}

function partId(name: string): string {
  return `p_${name.replace(/\W/g, '_')}`;
}

function topicId(topic: TopicDeclaration): string {
  return `t_${topic.name.replace(/\W/g, '_')}`;
}
