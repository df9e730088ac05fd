/** The picture of writers, topics and readers that `freshet topics graph --mermaid` prints and docs/ARCHITECTURE.md shows. */
import { isChangelog, type TopicDeclaration } from './topic.js';

/** A Mermaid flowchart: writers and readers as rounded boxes, topics as cylinders, restores as dotted arrows. */
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
