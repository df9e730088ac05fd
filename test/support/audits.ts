/** Audits for tests of serving: one verification in every state, and at most one more at a time. */
import type { AuditorState } from '../../publishing/audit/auditor.js';
import type { AuditReport } from '../../publishing/audit/report.js';
import type { Verification } from '../../publishing/audit/verifications.js';
import type { Audits } from '../../serving/ports.js';

const COUNTS = { same: 1, different: 1, left_out: 0, pending: 0, undecided: 0 };

export const REPORT: AuditReport = {
  started_at: '2026-11-03T12:00:00.000Z',
  duration_seconds: 1.5,
  sample: { salt: 'a', users_share: 0.01, products_share: 0.01, users: 1, products: 1, events: 3 },
  records_read: 100,
  compared: [{ store: 'redis', artefact: 'popularity', ...COUNTS }],
  differences: [
    {
      store: 'redis',
      artefact: 'popularity',
      key: 'p1',
      what: 'score',
      served: 1,
      expected: null,
      as_of: null,
      relative_error: null,
    },
  ],
  largest_relative_error: 1e-13,
  behind: null,
};

export class FakeAudits implements Audits {
  state: AuditorState | null = null;
  readonly begun: { share: number; salt: string }[] = [];
  readonly #known: Readonly<Record<string, Verification>> = {
    running: { verification_id: 'running', status: 'running', records_read: 5, report: null, error: null },
    done: { verification_id: 'done', status: 'done', records_read: 100, report: REPORT, error: null },
    failed: { verification_id: 'failed', status: 'failed', records_read: 7, report: null, error: 'no answer' },
  };

  auditor(): AuditorState | null {
    return this.state;
  }

  begin(request: { share: number; salt: string }): Verification | null {
    this.begun.push(request);
    return this.begun.length > 1 ? null : this.#known['running']!;
  }

  get(id: string): Verification | null {
    return this.#known[id] ?? null;
  }
}
