/** The source as house rules see it: every TypeScript file under version control or about to be, with its imports. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { projectRoot } from '../../schemas/project-root.js';

/** In the direction of the data: a folder may import itself and what stands before it. */
export const LAYERS = [
  'schemas',
  'topics',
  'runtime',
  'ingest',
  'processors',
  'publishing',
  'jobs',
  'snapshotters',
  'serving',
  'cli',
  'exports',
] as const;

export interface SourceFile {
  /** Relative to the project root, with slashes. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
}

export function sourceFiles(folders: readonly string[] = LAYERS): SourceFile[] {
  return folders.map((folder) => join(projectRoot, folder)).flatMap((path) => (existsSync(path) ? walk(path) : []));
}

function walk(folder: string): SourceFile[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'web' ? [] : walk(path);
    if (!entry.name.endsWith('.ts')) return [];
    const text = readFileSync(path, 'utf8');
    const imports = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]!);
    return [{ path: relative(projectRoot, path), text, imports }];
  });
}

/** Where a relative import of a file leads, from the project root; null for packages. */
export function resolved(file: SourceFile, specifier: string): string | null {
  return specifier.startsWith('.') ? normalize(join(dirname(file.path), specifier)) : null;
}
