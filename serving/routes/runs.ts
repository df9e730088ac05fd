/** Runs of jobs: requesting one, and its state. */
import type { FastifyInstance } from 'fastify';
import { Fields } from '../../ingest/fields.js';
import type { Run, Runs } from '../../jobs/runs.js';
import { READ_MS_MAX } from '../limits.js';
import { Problem } from '../problem.js';
import { access, CHECKS_ITSELF, described } from './declare.js';
import { orBadRequest } from './ids.js';
import { count, parameters, text } from './schema.js';
import { answers, json } from './shapes.js';

const RUNS_MAX = 100;
const RUNS_DEFAULT = 20;

export function addRunRoutes(app: FastifyInstance, runs: Runs): void {
  const params = parameters({ name: { ...text, description: `A job: ${runs.jobs.join(', ')}.` } }, ['name']);
  const jobOf = (name: string): string => {
    if (runs.jobs.includes(name)) return name;
    throw new Problem(404, `There is no job ${JSON.stringify(name)}; the jobs are ${runs.jobs.join(', ')}.`);
  };

  app.post<{ Params: { name: string } }>(
    '/v1/jobs/:name/runs',
    {
      ...CHECKS_ITSELF,
      config: access('operate'),
      schema: described(
        {
          operationId: 'postRun',
          tag: 'operation',
          summary: 'Requests a run of a job; a dry run publishes nothing and reports what would change.',
          description: 'Answers once the run is queued. Location shows the state of the run.',
        },
        {
          params,
          body: { content: { 'application/json': { schema: { $ref: 'RunRequest#' } } } },
          response: answers({ 202: json('RunReceipt', 'Requested.') }, [400, 404, 413, 415]),
        },
      ),
    },
    async (request, reply) => {
      const job = jobOf(request.params.name);
      const dryRun = orBadRequest(() => {
        const fields = new Fields(request.body ?? {}, 'a run');
        const wanted = fields.booleanOr('dry_run', false);
        fields.end();
        return wanted;
      });
      const { run_id } = await runs.request(job, { dryRun, by: 'api' });
      return reply
        .code(202)
        .header('location', `/v1/runs/${encodeURIComponent(run_id)}`)
        .send({ run_id });
    },
  );

  app.get<{ Params: { name: string }; Querystring: { limit: number } }>(
    '/v1/jobs/:name/runs',
    {
      config: access('read'),
      handlerTimeout: READ_MS_MAX,
      schema: described(
        { operationId: 'jobRuns', tag: 'operation', summary: 'The latest runs of a job, newest first.' },
        {
          params,
          querystring: parameters({ limit: count(1, RUNS_MAX, RUNS_DEFAULT, 'Maximum number of runs.') }),
          response: answers({ 200: json('RunList', 'Both ended and running ones.') }, [400, 404]),
        },
      ),
    },
    async (request) => {
      const latest = await runs.latest(jobOf(request.params.name), request.query.limit);
      return { runs: latest.map(answerOf) };
    },
  );

  app.get<{ Params: { id: string } }>(
    '/v1/runs/:id',
    {
      config: access('read'),
      handlerTimeout: READ_MS_MAX,
      schema: described(
        { operationId: 'run', tag: 'operation', summary: 'Progress of a run; once it has ended, its result.' },
        {
          params: parameters({ id: { ...text, description: 'As returned when it was requested.' } }, ['id']),
          response: answers({ 200: json('Run', 'The result is null until it has ended.') }, [404]),
        },
      ),
    },
    async (request) => {
      const { id } = request.params;
      // Postgres rejects NUL in a parameter; no id contains one.
      const found = id.includes('\0') ? null : await runs.get(id);
      if (found === null) throw new Problem(404, 'No run has this id.');
      return answerOf(found);
    },
  );
}

function answerOf(run: Run) {
  return {
    run_id: run.run_id,
    job_name: run.job_name,
    status: run.status,
    attempt: run.attempt,
    dry_run: run.dry_run,
    requested_at: run.requested_at.toISOString(),
    started_at: run.started_at?.toISOString() ?? null,
    finished_at: run.finished_at?.toISOString() ?? null,
    progress: run.progress,
    result: run.result,
  };
}
