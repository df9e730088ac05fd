/** What the auditor reports. */
import { NamedEvent, type Reports } from '../../runtime/process/events.js';
import { auditMetrics } from './metrics.js';
import { type AuditReport, isClean } from './report.js';

const LOGGED_MAX = 20;

/** What is served was compared with a recount from the log. */
export const audited = new NamedEvent<{ readonly report: AuditReport; readonly atMs: number }>('audited');

export const reportAudits: Reports = (events, { logger, metrics }) => {
  events.on(audited, ({ report, atMs }) => {
    const { keys, different, error, success } = auditMetrics(metrics);
    for (const { store, artefact, ...outcomes } of report.compared) {
      for (const [outcome, count] of Object.entries(outcomes)) keys.inc({ store, artefact, outcome }, count);
      different.set({ store, artefact }, outcomes.different);
    }
    error.set(report.largest_relative_error);
    if (isClean(report)) success.set(atMs / 1_000);
  });
  events.on(audited, ({ report }) => {
    for (const difference of report.differences.slice(0, LOGGED_MAX))
      logger.error(
        { event: 'audit_difference', ...difference },
        'The stores serve something other than what the log adds up to',
      );
    const { duration_seconds, sample } = report;
    logger.info({ event: 'audit_completed', duration_seconds, sample, clean: isClean(report) }, 'Compared');
  });
};
