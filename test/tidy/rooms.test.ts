/** I11: imports point one way, between layers, between the rooms of a folder, and between files. */
import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { ROOMS } from './rooms.js';
import { importedFiles, sourceFiles } from './source-files.js';

const files = sourceFiles();
const folders = [...new Set(files.map(({ path }) => dirname(path)))];

test('I11: a room imports only the siblings that the table of rooms gives it', () => {
  const used = new Set<string>();
  for (const file of files) {
    for (const target of importedFiles(file)) {
      const arrow = arrowBetween(dirname(file.path), dirname(target));
      if (arrow === null) continue;
      used.add(`${arrow.folder}: ${arrow.from} → ${arrow.to}`);
      assert.ok(
        ROOMS[arrow.folder]?.[arrow.from]?.includes(arrow.to),
        `${file.path} imports ${target}: ${arrow.from}/ may not know ${arrow.to}/ (test/tidy/rooms.ts)`,
      );
    }
  }
  for (const [folder, rooms] of Object.entries(ROOMS))
    for (const [from, others] of Object.entries(rooms))
      for (const to of others)
        assert.ok(
          used.has(`${folder}: ${from} → ${to}`),
          `${folder || 'the root'}: nothing in ${from}/ imports ${to}/`,
        );
});

test('I11: every folder with source is a room of the table, and every room of the table is a folder', () => {
  for (const [folder, rooms] of Object.entries(ROOMS)) {
    const found = new Set(folders.flatMap((path) => below(folder, path)));
    assert.deepEqual([...found].sort(), Object.keys(rooms).sort(), `rooms of ${folder || 'the root'}`);
  }
  for (const folder of folders)
    assert.ok(
      ROOMS[dirname(folder) === '.' ? '' : dirname(folder)],
      `the rooms next to ${folder}/ are not in the table`,
    );
});

test('I11: the arrows of the table form no circle: a room stands after what it imports', () => {
  for (const [folder, rooms] of Object.entries(ROOMS)) {
    const order = Object.keys(rooms);
    for (const [room, others] of Object.entries(rooms))
      for (const other of others)
        assert.ok(order.indexOf(other) < order.indexOf(room), `${folder || 'the root'}: ${other} stands after ${room}`);
  }
});

test('I11: no files import each other in a circle', () => {
  const circles = circlesOf(new Map(files.map((file) => [file.path, importedFiles(file)])));
  assert.deepEqual(circles, []);
});

/** The room of a folder that a path below it lies in; none for the folder itself. */
function below(folder: string, path: string): string[] {
  if (folder === '') return [path.split('/')[0]!];
  return path.startsWith(`${folder}/`) ? [path.slice(folder.length + 1).split('/')[0]!] : [];
}

/** Where two folders part; null if one lies in the other. */
function arrowBetween(a: string, b: string): { folder: string; from: string; to: string } | null {
  const [left, right] = [a.split('/'), b.split('/')];
  const at = left.findIndex((name, i) => name !== right[i]);
  if (at < 0 || right[at] === undefined) return null;
  return { folder: left.slice(0, at).join('/'), from: left[at]!, to: right[at]! };
}

/** Groups of files that reach each other (Tarjan), each as its sorted names. */
function circlesOf(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const order = new Map<string, number>();
  const open: string[] = [];
  const visit = (path: string): number => {
    const own = order.size;
    order.set(path, own);
    open.push(path);
    let lowest = own;
    for (const target of imports.get(path) ?? []) {
      if (!order.has(target)) lowest = Math.min(lowest, visit(target));
      else if (open.includes(target)) lowest = Math.min(lowest, order.get(target)!);
    }
    if (lowest === own) {
      const circle = open.splice(open.indexOf(path));
      if (circle.length > 1) found.push(circle.sort().join(', '));
    }
    return lowest;
  };
  for (const path of imports.keys()) if (!order.has(path)) visit(path);
  return found.sort();
}
