/** Which topics are written and read by which process, as text for a terminal. */
import type { TopicDeclaration } from '../topics/topic.js';

/** One block per writer, in the order of the declarations. */
export function drawGraph(declarations: readonly TopicDeclaration[]): string {
  const lines: string[] = [];
  for (const owner of new Set(declarations.map((topic) => topic.owner))) {
    lines.push(owner);
    const own = declarations.filter((topic) => topic.owner === owner);
    const width = Math.max(...own.map(({ name }) => name.length));
    for (const { name, readers } of own)
      lines.push(`  ──► ${readers.length === 0 ? name : `${name.padEnd(width)} ──► ${readers.join(', ')}`}`);
  }
  return lines.join('\n');
}
