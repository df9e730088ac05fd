/** The picture of topics in docs/ARCHITECTURE.md is what the command prints. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from '../../schemas/project-root.js';
import { runCommand } from '../unit/cli/run-command.js';

test('docs/ARCHITECTURE.md shows what "freshet topics graph --mermaid" prints', async () => {
  const text = readFileSync(join(projectRoot, 'docs/ARCHITECTURE.md'), 'utf8');
  const [, shown] =
    /<!-- begin: freshet topics graph --mermaid -->\n```mermaid\n(.*?)```\n<!-- end -->/s.exec(text) ?? [];
  const { code, output } = await runCommand(['topics', 'graph', '--mermaid']);
  assert.equal(code, 0);
  assert.equal(shown, output, 'put what the command prints between the two markers');
});
