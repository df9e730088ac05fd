/** The auditor's loop: what it logs, counts and returns, and how it continues after failures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openReporting } from '../../../../assembly/reporting.js';
import { Auditor } from '../../../../publishing/audit/auditor.js';
import { auditMetrics } from '../../../../publishing/audit/metrics.js';
import type { AuditReport } from '../../../../publishing/audit/report.js';
import type { Logger } from '../../../../runtime/process/logger.js';
import { REPORT } from '../../../support/audits.js';
import { ManualClock } from '../../../support/manual-clock.js';

const INTERVAL_MS = 300_000;
const NOW = Date.UTC(2026, 10, 3, 12);
const CLEAN: AuditReport = {
  ...REPORT,
  compared: REPORT.compared.map((compared) => ({ ...compared, different: 0 })),
  differences: [],
};

type Line = { readonly level: string; readonly event: string } & Readonly<Record<string, unknown>>;

/** An auditor whose comparisons give the test's answers in order, the last one repeatedly. */
function rig(answers: (AuditReport | Error)[], after: Promise<void> = Promise.resolve()) {
  const clock = new ManualClock(NOW);
  const lines: Line[] = [];
  const log =
    (level: string) =>
    (fields: object): void => {
      lines.push({ level, ...fields } as Line);
    };
  const logger = { info: log('info'), warn: log('warn'), error: log('error') } as unknown as Logger;
  const { metrics, events } = openReporting(logger);
  let compared = 0;
  let followed = 0;
  const audit = {
    follow: async () => {
      followed++;
    },
    compare: async (): Promise<AuditReport> => {
      const answer = answers[Math.min(compared++, answers.length - 1)]!;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    close: async () => undefined,
  };
  const auditor = new Auditor({ audit, intervalMs: INTERVAL_MS, clock, logger, events, after });
  /** Advances time a second at a time, with every turn of the loop in between. */
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 1_000) {
      clock.advance(1_000);
      await new Promise(setImmediate);
    }
  };
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return { auditor, clock, metrics, lines, pass, settle, compared: () => compared, followed: () => followed };
}

test('a difference is an error line with both values, and counted; the report is available', async () => {
  const { auditor, metrics, lines, settle } = rig([REPORT]);
  await auditor.start();
  await settle();
  await auditor.stop();
  const line = lines.find(({ event }) => event === 'audit_difference')!;
  assert.deepEqual([line.level, line['key'], line['served'], line['expected']], ['error', 'p1', 1, null]);
  assert.deepEqual(auditor.current(), { state: 'following', intervalMs: INTERVAL_MS, last: REPORT });
  const text = await metrics.registry.metrics();
  assert.match(text, /^freshet_audit_keys_total\{store="redis",artefact="popularity",outcome="different"\} 1$/m);
  assert.match(text, /^freshet_audit_different_keys\{store="redis",artefact="popularity"\} 1$/m);
  assert.match(text, /^freshet_audit_relative_error_ratio 1e-13$/m);
  assert.match(text, /^freshet_audit_last_success_timestamp_seconds 0$/m);
});

test('it compares once per interval and follows the log every second in between', async () => {
  const { auditor, metrics, pass, settle, compared, followed } = rig([CLEAN]);
  await auditor.start();
  await settle();
  assert.equal(compared(), 1);
  await pass(INTERVAL_MS - 2_000);
  assert.equal(compared(), 1);
  assert.ok(followed() > 200);
  await pass(4_000);
  assert.equal(compared(), 2);
  await auditor.stop();
  const success = await auditMetrics(metrics).success.get();
  assert.ok(success.values[0]!.value >= (NOW + INTERVAL_MS) / 1_000);
});

test('a standstill is not an alarm and is retried sooner; so is a failure', async () => {
  const behind = { ...CLEAN, compared: [], behind: 'Nothing moves.' };
  const { auditor, lines, pass, settle, compared } = rig([behind, new Error('no answer'), CLEAN]);
  await auditor.start();
  await settle();
  assert.deepEqual(
    lines.map(({ level, event }) => [level, event]),
    [['info', 'audit_waits']],
  );
  await pass(62_000);
  assert.deepEqual([compared(), lines.at(-1)!.event], [2, 'audit_failed']);
  await pass(6_000);
  assert.deepEqual([compared(), lines.at(-1)!.event], [3, 'audit_completed']);
  await auditor.stop();
});

test('it begins only when allowed to, and can be stopped before that', async () => {
  let begin: () => void = () => undefined;
  const mayBegin = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const waiting = rig([CLEAN], mayBegin);
  await waiting.auditor.start();
  await waiting.settle();
  assert.equal(waiting.followed(), 0);
  assert.equal(waiting.auditor.current().state, 'catching_up');
  begin();
  await waiting.settle();
  assert.equal(waiting.compared(), 1);
  await waiting.auditor.stop();
  const never = rig([CLEAN], new Promise(() => undefined));
  await never.auditor.start();
  await never.auditor.stop();
  assert.equal(never.followed(), 0);
});
