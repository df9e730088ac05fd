/** Code blocks of the documents. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../../schemas/project-root.js';

export interface Block {
  /** Path of the document, relative to the project root. */
  readonly path: string;
  /** Line number of its first line, from 1. */
  readonly line: number;
  readonly text: string;
}

/** The fenced blocks of one language, in order. */
export async function blocksOf(path: string, language: string): Promise<Block[]> {
  const blocks: Block[] = [];
  let lines: string[] | null = null;
  let first = 0;
  let isWanted = false;
  for (const [i, line] of (await readFile(join(projectRoot, path), 'utf8')).split('\n').entries()) {
    const fence = /^```(\S*)\s*$/.exec(line);
    if (fence === null) {
      lines?.push(line);
    } else if (lines === null) {
      lines = [];
      first = i + 2;
      isWanted = fence[1] === language;
    } else {
      if (isWanted) blocks.push({ path, line: first, text: `${lines.join('\n')}\n` });
      lines = null;
    }
  }
  return blocks;
}
