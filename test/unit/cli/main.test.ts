import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runCommand } from './run-command.js';

/** Every command and what its help must contain. */
const COMMANDS = [
  ['up'],
  ['topics'],
  ['topics', 'apply'],
  ['topics', 'list'],
  ['topics', 'show'],
  ['topics', 'graph'],
  ['produce'],
  ['consume'],
  ['snapshot'],
  ['versions'],
  ['versions', 'list'],
  ['versions', 'show'],
  ['versions', 'promote'],
  ['versions', 'rollback'],
  ['versions', 'pin'],
  ['erase', 'user'],
  ['erase', 'product'],
  ['doctor'],
  ['reset'],
];

describe('freshet', () => {
  it('prints its help without arguments', async () => {
    const { code, output, errors } = await runCommand([]);
    assert.equal(code, 0);
    assert.equal(errors, '');
    for (const name of ['up', 'topics', 'produce', 'consume', 'snapshot', 'versions', 'erase', 'doctor', 'reset'])
      assert.match(output, new RegExp(`^  ${name} `, 'm'));
  });

  for (const command of COMMANDS) {
    it(`${command.join(' ')} --help shows an example`, async () => {
      const { code, output } = await runCommand([...command, '--help']);
      assert.equal(code, 0);
      assert.match(output, new RegExp(`Example:\\n  \\$ .*freshet ${command[0]}`));
      if (command.length > 1 || !['topics', 'versions'].includes(command[0]!)) assert.match(output, /--json/);
    });
  }

  it('prints its version', async () => {
    const { code, output } = await runCommand(['--version']);
    assert.equal(code, 0);
    assert.match(output, /^\d+\.\d+\.\d+\n$/);
  });

  it('names the nearest command for an unknown one, and ends with 2', async () => {
    const { code, errors, output } = await runCommand(['prodcue', 'events', '-']);
    assert.equal(code, 2);
    assert.equal(output, '');
    assert.match(errors, /unknown command 'prodcue'.*\n.*Did you mean produce\?/);
  });

  const wrongUses: [string[], RegExp][] = [
    [['topics'], /Usage: freshet topics/],
    [['produce'], /missing required argument 'topic'/],
    [['produce', 'events', '-', '--skipbad'], /unknown option '--skipbad'.*\n.*--skip-bad/],
    [['produce', 'popularity.v1', '-'], /Producers write events, products, documents, users; popularity\.v1 is not/],
    [['produce', 'events', '/no/such/file'], /\/no\/such\/file cannot be read/],
    [['produce', 'events', '/'], /is a folder/],
    [['erase', 'user', 'u1'], /This erases user u1 .*: add --yes/],
    [['erase', 'user', ''], /"id" must not be empty/],
    [['erase', 'product', 'p1', '--timeout', '0'], /--timeout.*whole number of at least 1/],
    [['consume', 'events', '--limit', '0'], /--limit.*whole number of at least 1/],
    [['consume', 'events', '--partition', 'x'], /--partition.*whole number of at least 0/],
    [
      ['up', '--roles', 'processor,server'],
      /"server" is not a role; the roles are processor, publisher, serving, snapshotter:stopwords, snapshotter:faiss, snapshotter:als, snapshotter\./,
    ],
    [['topics', 'show', 'event'], /There is no topic event; the topics are events, /],
    [['topics', 'apply', '--delete', 'events'], /Topic events is declared and in use/],
  ];
  for (const [args, message] of wrongUses) {
    it(`${args.join(' ')} ends with 2`, async () => {
      const { code, errors } = await runCommand(args);
      assert.match(errors, message);
      assert.equal(code, 2);
    });
  }

  it('reports an error in one sentence, and shows the stack only on request', async () => {
    const plain = await runCommand(['topics', 'list'], { environment: { PORT: 'x' } });
    assert.equal(plain.code, 1);
    assert.match(plain.errors, /^error: Wrong settings:\n {2}PORT: a number/);
    assert.doesNotMatch(plain.errors, /\n {4}at /);
    const loud = await runCommand(['topics', 'list'], { environment: { PORT: 'x', LOG_LEVEL: 'debug' } });
    assert.match(loud.errors, /\n {4}at /);
  });
});

describe('freshet topics graph', () => {
  it('needs no log, and draws writers and readers', async () => {
    const { code, output } = await runCommand(['topics', 'graph']);
    assert.equal(code, 0);
    assert.match(output, /^producers\n {2}──► events +──► activity, publishing$/m);
    const json = await runCommand(['topics', 'graph', '--json']);
    const graph = JSON.parse(json.output) as { topics: { name: string; owner: string }[] };
    assert.ok(graph.topics.some(({ name, owner }) => name === 'popularity.v1' && owner === 'popularity'));
    const chart = await runCommand(['topics', 'graph', '--mermaid']);
    assert.match(chart.output, /^flowchart LR\n/);
    assert.match(chart.output, /p_producers --> t_events/);
  });
});
