/** Shapes of requests and answers as JSON schemas: shown by /openapi.json, and checked against answers in tests. */
import {
  array,
  givenTime,
  id,
  integer,
  nullableId,
  nullableText,
  nullableTime,
  number,
  object,
  type Schema,
  text,
  time,
} from './schema.js';
import { VERSION_SHAPES } from './version-shapes.js';

const rejection = object({ index: integer, error: text });

const problem = {
  $id: 'Problem',
  type: 'object',
  description: 'RFC 9457. `detail` is a sentence that says what to do.',
  properties: {
    type: text,
    title: text,
    status: integer,
    detail: text,
    errors: array(object({ field: text, error: text })),
    accepted: integer,
    rejected: array(rejection),
  },
  required: ['type', 'title', 'status', 'detail'],
  additionalProperties: false,
};

const PROBLEMS: Readonly<Record<number, string>> = {
  400: 'The request is wrong; the detail says how.',
  401: 'No token, or an unknown one. Only if tokens are set.',
  403: 'Not for this token, under this name, or from this origin.',
  404: 'Nothing has this id.',
  409: 'Not now: it conflicts with something in progress.',
  410: 'The offsets are not, or no longer, in the log.',
  413: 'The body, or a record in it, is too large.',
  415: 'This route does not accept the type of the body.',
  429: 'Too many requests with this token in this minute. Only if tokens are set.',
  503: 'A required service does not answer now; Retry-After says when to try again.',
};
const ALWAYS = [401, 403, 429, 503];

/** The answers of a route: its own, and its problems in addition to those that every route may return. */
export function answers(own: Readonly<Record<number, Schema>>, problems: readonly number[]): Record<number, unknown> {
  return { ...refusals([...problems, ...ALWAYS]), ...own };
}

/** The answers with a problem; an open route has only those that it names. */
export function refusals(statuses: readonly number[]): Record<number, unknown> {
  const refusal = (status: number) => ({
    description: PROBLEMS[status]!,
    content: { 'application/problem+json': { schema: { $ref: 'Problem#' } } },
  });
  return Object.fromEntries(statuses.map((status) => [status, refusal(status)]));
}

/** A JSON answer, by the name of its shape. */
export function json(name: ShapeName, description: string): Schema {
  return { description, content: { 'application/json': { schema: { $ref: `${name}#` } } } };
}

const eventShape = {
  $id: 'Event',
  ...object(
    {
      event_id: { ...id, description: 'Unique per user: repeats within the duplicate horizon count once.' },
      user_id: id,
      product_id: id,
      category: { ...nullableId, description: 'Null: the category in the catalogue.' },
      event_type: { type: 'string', enum: ['view', 'add_to_cart', 'purchase'] },
      ts: givenTime,
    },
    ['category'],
  ),
};

const productShape = {
  $id: 'Product',
  ...object(
    {
      product_id: id,
      title: text,
      description: text,
      category: id,
      price: { type: ['number', 'null'], minimum: 0 },
      updated_at: givenTime,
    },
    ['product_id', 'price', 'updated_at'],
  ),
};

const documentShape = {
  $id: 'Document',
  ...object(
    {
      doc_id: id,
      language: { type: ['string', 'null'], pattern: '^[a-z]{2,3}$', description: 'ISO 639; null: detected.' },
      source: nullableId,
      text,
      updated_at: givenTime,
    },
    ['doc_id', 'language', 'source', 'updated_at'],
  ),
};

const userShape = {
  $id: 'User',
  ...object({ user_id: id, tenant_id: id, active: { type: 'boolean', default: true }, updated_at: givenTime }, [
    'user_id',
    'active',
    'updated_at',
  ]),
};

const shortProduct = {
  description: 'With include=product; null where the catalogue does not have it.',
  anyOf: [object({ title: text, category: text, price: { type: ['number', 'null'] } }), { type: 'null' }],
};

const popularShape = {
  $id: 'Popular',
  ...object({
    as_of: time,
    version: integer,
    items: array(
      object({ product_id: text, score: number, category: text, as_of: time, product: shortProduct }, [
        'as_of',
        'product',
      ]),
    ),
  }),
};

const productPopularityShape = {
  $id: 'ProductPopularity',
  ...object({
    product_id: text,
    score: number,
    as_of: time,
    version: integer,
    views: integer,
    add_to_carts: integer,
    purchases: integer,
  }),
};

const affinityShape = {
  $id: 'UserAffinity',
  ...object({
    user_id: text,
    as_of: time,
    version: integer,
    scores: {
      type: 'object',
      description: 'Category to share of interest; the shares add up to 1.',
      additionalProperties: { type: 'number', minimum: 0, maximum: 1 },
    },
  }),
};

const scoredItems = array(object({ product_id: text, score: number, product: shortProduct }, ['product']));
const answered = {
  request_id: { ...text, description: 'Also in the header X-Request-Id.' },
  version: { ...integer, description: 'The header X-Versions names all versions that were used.' },
  items: scoredItems,
};

const position = object({ partition: integer, offset: integer });

const rawRecordsShape = {
  $id: 'RawRecords',
  ...object({
    topic: text,
    records: array(
      object(
        {
          partition: integer,
          offset: integer,
          timestamp: { ...time, description: 'Log time.' },
          key: { type: ['string', 'null'] },
          key_base64: text,
          value: { description: 'Fields by the schema of the topic, times in ms; null deletes.' },
          value_base64: { type: 'string', description: 'The bytes, if they could not be decoded.' },
          error: text,
        },
        ['key_base64', 'value', 'value_base64', 'error'],
      ),
    ),
    next: { ...array(position), description: 'Where to continue: pass it as `positions=<partition>:<offset>,…`.' },
  }),
};

const topicsShape = {
  $id: 'Topics',
  ...object({
    topics: array(
      object({
        name: text,
        doc: text,
        key: text,
        schema: text,
        cleanup: text,
        owner: text,
        partitions: { type: 'integer', description: '0: the topic does not exist yet.' },
        offsets: array(
          object({ partition: integer, earliest: integer, last_stable: integer, high_watermark: integer }),
        ),
      }),
    ),
  }),
};

const nullableMs = { type: ['number', 'null'], minimum: 0 };
const lagCount = { type: 'number', minimum: 0 };

const lagShape = object({
  activity: lagCount,
  popularity: lagCount,
  corpus: lagCount,
  embeddings: lagCount,
  redis: lagCount,
  postgres: lagCount,
});
const freshnessShape = {
  description: 'Null where another process publishes: its metrics have the figures.',
  anyOf: [object({ redis: nullableMs, postgres: nullableMs }), { type: 'null' }],
};
const historyShape = {
  $id: 'OverviewHistory',
  ...object({
    samples: array(object({ at: time, rate_per_second: number, lag: lagShape, freshness_ms: freshnessShape })),
  }),
};

const overviewShape = {
  $id: 'Overview',
  ...object({
    as_of: time,
    uptime_seconds: number,
    mode: object({ log: text, online_store: text, database: text }),
    demo: { type: 'boolean' },
    events: object({ total: number, rate_per_second: number }),
    lag: lagShape,
    freshness_ms: freshnessShape,
    intake: {
      description: 'Null where another process counts: its metrics have the figures.',
      anyOf: [object({ counted: integer, duplicate: integer, late: integer, dead_letter: integer }), { type: 'null' }],
    },
  }),
};

const erasureShape = {
  $id: 'Erasure',
  ...object({
    subject: text,
    state: { type: 'string', enum: ['waiting', 'done'] },
    requested_at: time,
    reason: { type: ['string', 'null'] },
    cut: {
      description: 'The record at the cut: its offset decides, not its time. Null if it is no longer in the log.',
      anyOf: [object({ topic: text, partition: integer, offset: integer, at: time }), { type: 'null' }],
    },
    waits_for: { ...array(text), description: 'In words; empty when done.' },
    certificate: {
      anyOf: [
        object({
          verified_at: time,
          gone: {
            ...array(
              object({
                what: text,
                where: { type: 'string', enum: ['log', 'task', 'online store', 'database'] },
                topic: text,
                partition: integer,
                offset: integer,
                left: { type: 'string', enum: ['nothing', 'only what came after the cut'] },
              }),
            ),
            description: 'What was checked: all records of the partition below the offset have been applied there.',
          },
          not_checked: array(text),
          expires: array(object({ what: text, where: text, until: nullableTime, rule: text })),
          stays: array(text),
        }),
        { type: 'null' },
      ],
    },
  }),
};

const skipFields = {
  topic: text,
  partition: { ...integer, minimum: 0 },
  from: { ...integer, minimum: 0, description: 'The first offset that is given up.' },
  to: { ...integer, minimum: 1, description: 'The first offset that is read again.' },
  reason: { ...text, minLength: 1, maxLength: 500 },
};
const skipShape = { $id: 'Skip', ...object({ ...skipFields, requested_at: time, requested_by: text }) };

const shown: Schema = { type: ['string', 'number', 'null'] };

const reportShape = object({
  started_at: time,
  duration_seconds: number,
  sample: object({
    salt: { ...text, description: 'Chooses the keys; the same salt chooses the same ones.' },
    users_share: number,
    products_share: number,
    users: integer,
    products: integer,
    events: integer,
  }),
  records_read: integer,
  compared: array(
    object({
      store: text,
      artefact: text,
      same: integer,
      different: integer,
      left_out: integer,
      pending: integer,
      undecided: integer,
    }),
  ),
  differences: array(
    object({
      store: text,
      artefact: text,
      key: text,
      what: text,
      served: shown,
      expected: shown,
      as_of: nullableTime,
      relative_error: { type: ['number', 'null'] },
    }),
  ),
  largest_relative_error: number,
  behind: { ...nullableText, description: 'Why the comparison was not possible.' },
});
const nullableReport: Schema = { anyOf: [reportShape, { type: 'null' }] };

const orNull = (shape: Schema): Schema => ({ anyOf: [shape, { type: 'null' }] });
const ids: Schema = array(id);
const featureNames = { type: 'string', enum: ['affinity', 'interactions', 'popularity', 'product'] };

const featureShapes = [
  {
    $id: 'CatalogueProduct',
    ...object({
      product_id: text,
      title: text,
      description: text,
      category: text,
      price: { type: ['number', 'null'] },
      updated_at: time,
    }),
  },
  {
    $id: 'FeaturesRequest',
    ...object({ users: ids, products: ids, features: array(featureNames) }, ['users', 'products', 'features']),
  },
  {
    $id: 'Features',
    ...object({
      versions: { type: 'object', description: 'Which version was read, by artefact.', additionalProperties: integer },
      users: array(
        object(
          {
            user_id: text,
            affinity: orNull(object({ as_of: time, scores: { type: 'object', additionalProperties: number } })),
            interactions: orNull(
              object({
                as_of: time,
                items: array(object({ product_id: text, weight: number, count: integer, purchases: integer })),
                truncated: integer,
              }),
            ),
          },
          ['affinity', 'interactions'],
        ),
      ),
      products: array(
        object(
          {
            product_id: text,
            popularity: orNull(
              object({ score: number, as_of: time, views: integer, add_to_carts: integer, purchases: integer }),
            ),
            product: shortProduct,
          },
          ['popularity', 'product'],
        ),
      ),
    }),
  },
] as const;

/** Every shape that has a name, by its $id. */
export const SHAPES = [
  problem,
  eventShape,
  productShape,
  documentShape,
  userShape,
  popularShape,
  productPopularityShape,
  affinityShape,
  { $id: 'ModelItems', ...object(answered) },
  {
    $id: 'Found',
    ...object(
      {
        ...answered,
        unknown_words: {
          ...array(text),
          description: 'Words of the query that no product has, nor anything like them.',
        },
      },
      ['unknown_words'],
    ),
  },
  {
    $id: 'Recommendations',
    ...object({ ...answered, fallback: { type: 'string', const: 'popularity' } }, ['fallback']),
  },
  rawRecordsShape,
  topicsShape,
  overviewShape,
  historyShape,
  { $id: 'Receipt', ...object({ accepted: integer, rejected: array(rejection) }) },
  { $id: 'Accepted', ...object({ accepted: { type: 'integer', const: 1 } }) },
  {
    $id: 'ErasureRequest',
    description: 'One of user_id and product_id.',
    ...object({ user_id: id, product_id: id, reason: { type: ['string', 'null'] } }, [
      'user_id',
      'product_id',
      'reason',
    ]),
  },
  { $id: 'ErasureReceipt', ...object({ subject: text }) },
  erasureShape,
  ...featureShapes,
  { $id: 'SkipRequest', ...object(skipFields) },
  skipShape,
  { $id: 'Skips', ...object({ skips: array({ $ref: 'Skip#' }) }) },
  {
    $id: 'KeyedRecord',
    ...object(
      {
        key: { ...nullableId, description: "The value's id; only needed if the value is null." },
        value: { description: 'A record of the topic as the PUT and POST routes accept it; null deletes the key.' },
      },
      ['key'],
    ),
  },
  {
    $id: 'Audit',
    ...object({
      state: { type: 'string', enum: ['off', 'catching_up', 'following'] },
      interval_seconds: { type: ['number', 'null'] },
      last: nullableReport,
    }),
  },
  {
    $id: 'VerificationRequest',
    ...object({ sample: { ...number, exclusiveMinimum: 0, maximum: 1 }, salt: text }, ['salt']),
  },
  {
    $id: 'Verification',
    ...object({
      verification_id: text,
      status: { type: 'string', enum: ['running', 'done', 'failed'] },
      records_read: integer,
      report: nullableReport,
      error: nullableText,
    }),
  },
  ...VERSION_SHAPES,
  {
    $id: 'Access',
    ...object({
      role: { ...nullableText, description: 'Null without tokens.' },
      may: { ...array(text), description: 'Classes of routes that this token may use.' },
    }),
  },
  { $id: 'Live', ...object({ status: { type: 'string', const: 'live' } }) },
  {
    $id: 'Ready',
    ...object({ status: { type: 'string', enum: ['ready', 'waiting'] }, waiting: array(text) }),
  },
] as const;

export type ShapeName = (typeof SHAPES)[number]['$id'];
