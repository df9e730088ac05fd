/** `freshet erase`: erases a user or a product, waits until it is done everywhere, and prints the certificate. */
import { Command, InvalidArgumentError } from 'commander';
import { checkId } from '../ingest/fields.js';
import { InputError } from '../ingest/input-error.js';
import type { Certificate, ErasureStatus } from '../publishing/erasure/certificate.js';
import { FreshetError } from '../runtime/process/errors.js';
import type { Subject, SubjectKind } from '../topics/subject.js';
import { type ErasureAccess, openErasing } from './access/erasing.js';
import { confirm } from './confirm.js';
import { Failed, type Shell, UsageError } from './shell.js';
import { listenForStop } from './stop-signal.js';
import { drawTable } from './table.js';

interface EraseOptions {
  readonly reason?: string;
  readonly yes?: true;
  /** False with --no-wait. */
  readonly wait: boolean;
  readonly show?: true;
  /** Seconds. */
  readonly timeout: number;
  readonly json?: true;
}

const TIMEOUT_S = 120;
/** Wait of one request; between requests, progress is shown. */
const ASK_MS = 2_000;
const QUIET_MS = 1_000;

const TEXTS = {
  user: {
    summary: 'erase a user',
    description:
      'Erases a user: in one transaction, the request and the deletions are written to the log. Events before this cut leave every feature of that user; events after it start counting again. The command waits until the stores have followed and prints the certificate: what is gone, what expires when, what stays.',
    warning: (id: string) => `This erases user ${id} permanently`,
  },
  product: {
    summary: 'remove a product from every list',
    description:
      'Deletes a product from the catalogue, so that it leaves every list. The command waits until the stores have followed and prints the certificate: what is gone, what expires when, what stays.',
    warning: (id: string) => `This deletes product ${id} and removes it from every list`,
  },
} as const;

export function eraseCommand(shell: Shell): Command {
  const command = new Command('erase')
    .summary('erase a user or a product')
    .description('Erases a user or a product, with a certificate of what is gone and what expires when.')
    .addHelpText('after', '\nExample:\n  $ freshet erase user u-1017 --reason "letter of 3 May" --yes');
  for (const kind of ['user', 'product'] as const) command.addCommand(ofKind(shell, kind));
  return command;
}

function ofKind(shell: Shell, kind: SubjectKind): Command {
  return new Command(kind)
    .summary(TEXTS[kind].summary)
    .description(TEXTS[kind].description)
    .argument('<id>', `the ${kind}_id`)
    .option('--reason <text>', 'kept with the request')
    .option('--yes', 'do not ask')
    .option('--no-wait', 'exit once the request is in the log')
    .option('--show', 'request nothing; print the state of the newest request')
    .option('--timeout <seconds>', 'how long to wait for the certificate', seconds, TIMEOUT_S)
    .option('--json', 'print the result as JSON')
    .addHelpText('after', `\nExample:\n  $ freshet erase ${kind} ${kind[0]}-1017 --yes`)
    .action((id: string, options: EraseOptions) => erase(shell, { kind, id: checked(id) }, options));
}

function seconds(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of at least 1.');
  return Number(text);
}

function checked(id: string): string {
  try {
    return checkId('id', id);
  } catch (error) {
    if (error instanceof InputError) throw new UsageError(error.message);
    throw error;
  }
}

async function erase(shell: Shell, subject: Subject, options: EraseOptions): Promise<void> {
  const { kind, id } = subject;
  if (!options.show && !options.yes) await confirm(shell, TEXTS[kind].warning(id), 'Nothing was requested.');
  const access = await openErasing(shell);
  try {
    if (!options.show) {
      await access.request(subject, options.reason ?? null);
      if (!options.wait) {
        await written(shell, access, subject, options);
        return;
      }
    }
    const status = await outcome(shell, access, subject, options);
    if (status === null)
      throw new FreshetError('invalid_data', `No erasure of ${kind} ${id} was requested in ${access.where}.`);
    await print(shell, status, options);
    if (status.state === 'waiting') throw stillWaiting(shell, access, status, options);
  } finally {
    await access.close();
  }
}

async function written(
  shell: Shell,
  access: ErasureAccess,
  { kind, id }: Subject,
  options: EraseOptions,
): Promise<void> {
  if (options.json) await shell.json({ subject: `${kind}:${id}` });
  else await shell.line(`Written to ${access.where}; "freshet erase ${kind} ${id} --show" shows its state.`);
}

/** The newest status: done, or still waiting at the time-out, at a signal, or if no process acts on it. */
async function outcome(
  shell: Shell,
  access: ErasureAccess,
  subject: Subject,
  options: EraseOptions,
): Promise<ErasureStatus | null> {
  const stop = listenForStop();
  const { errors } = shell.terminal;
  const begun = performance.now();
  const patienceMs = options.show || access.idle !== null ? 0 : options.timeout * 1000;
  let shown = false;
  try {
    for (;;) {
      const leftMs = Math.max(0, begun + patienceMs - performance.now());
      const status = await access.status(subject, Math.round(Math.min(ASK_MS, leftMs)), stop.signal);
      if (status === null || status.state === 'done' || leftMs === 0 || stop.signal.aborted) return status;
      if (errors.isTTY && performance.now() - begun >= QUIET_MS) {
        errors.write(`\r\x1b[Kwaiting for ${status.waits_for.join(', ')}`);
        shown = true;
      }
    }
  } finally {
    if (shown) errors.write('\r\x1b[K');
    stop.close();
  }
}

function stillWaiting(shell: Shell, access: ErasureAccess, status: ErasureStatus, options: EraseOptions): Error {
  if (access.idle !== null) {
    shell.note(`The request is written, but no process acts on it. ${access.idle}`);
    return new Failed();
  }
  const after = options.show ? '' : ` after ${options.timeout} s`;
  shell.note(`The request is written, but not yet complete${after}: waiting for ${status.waits_for.join(', ')}.`);
  return new Failed();
}

async function print(shell: Shell, status: ErasureStatus, options: EraseOptions): Promise<void> {
  if (options.json) {
    await shell.json(status);
    return;
  }
  const { subject, cut, certificate } = status;
  if (certificate === null) return;
  await shell.line(
    `${subject} is erased. Requested at ${status.requested_at}, verified at ${certificate.verified_at}.`,
  );
  if (cut !== null)
    await shell.line(`The cut is offset ${cut.offset} of ${cut.topic}[${cut.partition}], written at ${cut.at}.`);
  for (const section of sections(certificate)) await shell.line(`\n${section}`);
  for (const what of certificate.not_checked) shell.note(`Not checked: ${what}.`);
}

function sections({ gone, expires, stays }: Certificate): string[] {
  const goneRows = gone.map(({ where, what, topic, partition, offset, left }) => [
    what,
    where,
    `${topic}[${partition}] below ${offset}`,
    left,
  ]);
  const expiryRows = expires.map(({ what, where, until, rule }) => [what, where, until ?? 'unknown', rule]);
  return [
    `Gone:\n${drawTable(['what', 'where', 'applied', 'left'], goneRows)}`,
    `Expires:\n${drawTable(['what', 'where', 'at the latest', 'rule'], expiryRows)}`,
    `Stays:\n${stays.map((what) => `  ${what}`).join('\n')}`,
  ];
}
