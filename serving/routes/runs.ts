/** Runs of jobs: asking for one, and what has become of it. */
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
          summary: 'Asks for a run of a job; a dry run publishes nothing and tells what would change.',
          description: 'Answers once the run is queued. Location tells where it stands.',
        },
        {
          params,
          body: { content: { 'application/json': { schema: { $ref: 'RunRequest#' } } } },
          response: answers({ 202: json('RunReceipt', 'Asked for.') }, [400, 404, 413, 415]),
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
          querystring: parameters({ limit: count(1, RUNS_MAX, RUNS_DEFAULT, 'Most runs.') }),
          response: answers({ 200: json('RunList', 'Ended ones and those under way.') }, [400, 404]),
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
        { operationId: 'run', tag: 'operation', summary: 'How far a run has come; once it has ended, its result.' },
        {
          params: parameters({ id: { ...text, description: 'As answered when it was asked for.' } }, ['id']),
          response: answers({ 200: json('Run', 'The result is null until it has ended.') }, [404]),
        },
      ),
    },
    async (request) => {
      const { id } = request.params;
      // A NUL in a parameter is an error to Postgres; no id holds one.
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
