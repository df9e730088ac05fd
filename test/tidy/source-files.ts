/** The source as house rules see it: every TypeScript file under version control or about to be, with its imports. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { projectRoot } from '../../schemas/project-root.js';
import { LAYERS } from './rooms.js';

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
    return [{ path: relative(projectRoot, path), text, imports: importsOf(text) }];
  });
}

/** Static imports and re-exports begin a line; import() and require() may stand anywhere. */
const IMPORT =
  /(?:^(?:import|export)\s[\w\s{},*]*\bfrom\s+|^import\s+|\bimport\(\s*|\brequire\(|\bcreateRequire\(import\.meta\.url\)(?:\.resolve)?\()'([^']+)'/gm;

function importsOf(text: string): string[] {
  return [...text.matchAll(IMPORT)].map((match) => match[1]!);
}

/** The files of this code base that a file imports, from the project root. */
export function importedFiles(file: SourceFile): string[] {
  return file.imports
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => normalize(join(dirname(file.path), specifier)).replace(/\.js$/, '.ts'));
}

/** The files that a file starts as a thread, a process or a module, by their address. */
export function loadedFiles(file: SourceFile): string[] {
  return [...file.text.matchAll(/\bnew URL\('(\.[^']+\.js)', import\.meta\.url\)/g)].map((match) =>
    normalize(join(dirname(file.path), match[1]!)).replace(/\.js$/, '.ts'),
  );
}

/** The packages of npm that a file imports, without what is inside them. */
export function importedPackages(file: SourceFile): string[] {
  return file.imports
    .filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
    .map((specifier) => specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/'));
}
