import fc from 'fast-check';
import { drawnFrom, hostile, type JsonSchema, spoilt } from './schema-fuzz.ts';

/**
 * Bad HTTP requests. Half are drawn from the door's own description of itself, so that a route that is added tomorrow is tried tomorrow;
 * half from valid ones: a field taken away, exchanged for something else, nested, repeated or enormous; headers that nobody sends; keys
 * that look almost right; other methods and paths.
 */
export interface BadRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string | undefined;
}

const messages = [{ role: 'user', content: 'Hi.' }];
const VALID: readonly { path: string; method: string; body: Record<string, unknown> }[] = [
  { path: '/v1/chat/completions', method: 'POST', body: { model: 'story:1b', messages, max_tokens: 2, stream: false } },
  { path: '/v1/responses', method: 'POST', body: { model: 'story:1b', input: 'Hi.', max_output_tokens: 2 } },
  { path: '/v1/completions', method: 'POST', body: { model: 'story:1b', prompt: 'Hi.', max_tokens: 2 } },
  { path: '/v1/embeddings', method: 'POST', body: { model: 'story:1b', input: ['Hi.'] } },
  { path: '/v1/rerank', method: 'POST', body: { model: 'story:1b', query: 'q', documents: ['d'] } },
  { path: '/v1/messages', method: 'POST', body: { model: 'story:1b', messages, max_tokens: 2 } },
  { path: '/v1/messages/count_tokens', method: 'POST', body: { model: 'story:1b', messages } },
  { path: '/v1/jobs/nothing/cancel', method: 'POST', body: {} },
  { path: '/api/chat', method: 'POST', body: { model: 'story:1b', messages, stream: false, options: { num_predict: 2 } } },
  { path: '/api/generate', method: 'POST', body: { model: 'story:1b', prompt: 'Hi.', options: { num_predict: 2 } } },
  { path: '/api/show', method: 'POST', body: { model: 'story:1b' } },
  { path: '/api/pull', method: 'POST', body: { model: 'story:1b' } },
  { path: '/api/v1/enroll', method: 'POST', body: { token: 'laj_0', name: 'x', publicKey: `${'A'.repeat(43)}=` } },
  {
    path: '/api/v1/keys',
    method: 'POST',
    body: { name: 'x', scopes: ['inference'], models: ['a*'], expiresAtMs: 9_999_999_999_999 },
  },
  { path: '/api/v1/tokens', method: 'POST', body: { label: 'x', ttlSeconds: 60, maxUses: 1, needsApproval: true, group: 'g' } },
  { path: '/api/v1/keys/nobody', method: 'PATCH', body: { name: 'x', isEnabled: true } },
  { path: '/api/v1/nodes/nobody', method: 'PATCH', body: { name: 'x', group: 'g' } },
  { path: '/api/v1/audit?limit=10&before=5', method: 'GET', body: {} },
  { path: '/v1/models/story:1b', method: 'GET', body: {} },
];

const hostileText = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '\u0000',
    "' or '1'='1",
    "'; drop table api_keys; --",
    '$(touch /tmp/lai-pwned)',
    '`id`',
    '| id',
    '../../../../etc/passwd',
    '..%2f..%2fetc%2fpasswd',
    'file:///etc/passwd',
    'http://169.254.169.254/latest/meta-data/',
    '{{7*7}}',
    '<script>alert(1)</script>',
    '__proto__',
    'constructor',
    'lai:{q}:*',
    '*',
    '\u202e\ufeff',
    '\ud800',
    'a'.repeat(5_000),
    '🔥'.repeat(300),
  ),
  fc.string({ unit: 'binary', maxLength: 200 }),
);

const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  hostileText,
  fc.constantFrom(null, true, false, 0, -1, 1.5, 1e308, -1e308, 2 ** 53, [], {}, [[]], [null], { role: 'user' }),
  fc.jsonValue({ maxDepth: 4 }),
  fc.integer({ min: 5, max: 200 }).map((depth) => nested(depth)),
);

const nested = (depth: number): unknown => {
  let value: unknown = 'x';
  for (let level = 0; level < depth; level += 1) value = level % 2 ? [value] : { content: value };
  return value;
};

/** The same body with something wrong in it, or a text that is no JSON. */
const bodyFrom = (valid: Record<string, unknown>): fc.Arbitrary<string> => {
  const keys = Object.keys(valid);
  const changed = fc
    .record({
      where: keys.length > 0 ? fc.constantFrom(...keys) : fc.constant('model'),
      value: hostileValue,
      extra: fc.option(fc.tuple(hostileText, hostileValue), { nil: undefined }),
      how: fc.constantFrom('replace', 'remove', 'double'),
    })
    .map(({ where, value, extra, how }) => {
      const body: Record<string, unknown> = { ...valid };
      if (how === 'remove') delete body[where];
      else body[where] = value;
      const text = JSON.stringify(extra ? { ...body, [extra[0]]: extra[1] } : body) ?? '{}';
      return how === 'double' ? text.replace('{', `{${JSON.stringify(where)}:${JSON.stringify(valid[where]) ?? 'null'},`) : text;
    });
  const broken = fc.tuple(fc.nat(400), fc.constantFrom('', '"', '}', ']', '\\', '\u0000', 'x')).map(([at, piece]) => {
    const text = JSON.stringify(valid);
    return text.slice(0, at % text.length) + piece;
  });
  const other = fc.oneof(
    fc.constantFrom('', 'null', '[]', '0', '"x"', 'true', '{"__proto__":{"scopes":["admin"]}}', '['.repeat(10_000), 'a=b&c=d'),
    fc.json({ maxDepth: 3 }),
  );
  return fc.oneof({ weight: 6, arbitrary: changed }, { weight: 2, arbitrary: broken }, { weight: 1, arbitrary: other });
};

/** Only what Node's own client is willing to send; the rest is for the raw cases. */
const headerText = fc.string({ unit: fc.constantFrom(...'abcXYZ019 -_:;=,./\\\'"{}<>$`|()*%&#@!'), maxLength: 120 });

const headersFrom = (key: string): fc.Arbitrary<Record<string, string>> => {
  const hostileKey = fc.oneof(
    fc.constantFrom(
      key.slice(0, -1),
      `${key}0`,
      key.toUpperCase(),
      key.replace('lai_', 'laj_'),
      `Bearer ${key} ${key}`,
      'Basic eDp5',
      'null',
    ),
    fc.constantFrom(`Bearer ${key}' or 1=1 --`, `Bearer ${key};`, `Bearer lai_${'f'.repeat(32)}`, 'Bearer undefined', 'Bearer'),
    headerText,
  );
  const odd = fc.dictionary(
    fc.constantFrom(
      ...['x-lai-timeout', 'x-force-big', 'x-lai-priority', 'idempotency-key', 'x-lai-webhook', 'x-api-key', 'anthropic-version'],
      ...['__proto__', 'constructor', 'content-type', 'accept', 'x-forwarded-for', 'x-forwarded-proto', 'x-http-method-override'],
      ...['host', 'origin', 'cookie', 'range', 'if-match', 'x-request-id', 'traceparent', 'content-encoding', 'expect-ct'],
    ),
    headerText,
    { maxKeys: 4 },
  );
  return fc
    .tuple(
      fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: hostileKey }),
      fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: odd }),
    )
    .map(([hostile, extra]) => ({
      'content-type': 'application/json',
      'x-lai-timeout': '2',
      ...extra,
      authorization: hostile ?? `Bearer ${key}`,
    }));
};

/** The part of an OpenAPI document that says what can be asked. */
export interface DoorDescription {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          {
            readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> };
            readonly parameters?: readonly { readonly name: string; readonly in: string }[];
          }
        >
      >
    >
  >;
}

export const badRequest = (key: string, door: DoorDescription): fc.Arbitrary<BadRequest> =>
  fc.oneof(spoiltRequest(key), describedRequest(key, door));

/** Every route with everything that its schema allows, and one thing that it does not. */
const describedRequest = (key: string, { paths }: DoorDescription): fc.Arbitrary<BadRequest> => {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { requestBody, parameters = [] }]) => {
      const schema = Object.values(requestBody?.content ?? {})[0]?.schema;
      // Would leave nothing to ask for.
      const known = fc.constant(method === 'delete' ? 'nothing:1b' : 'story:1b');
      const body = schema && drawnFrom(schema, known).chain((drawn) => fc.oneof(fc.constant(drawn), spoiltBody(drawn)));
      const inQuery = parameters.filter(({ in: place }) => place === 'query').map(({ name }) => name);
      const query = inQuery.length === 0 ? fc.constant({}) : fc.dictionary(fc.constantFrom(...inQuery), pieceOfPath);
      return fc
        .record({
          pieces: fc.array(pieceOfPath, { minLength: 4, maxLength: 4 }),
          query,
          headers: headersFrom(key),
          body: (body ?? fc.constant(undefined)) as fc.Arbitrary<unknown>,
        })
        .map(({ pieces, query, headers, body }) => {
          let index = 0;
          const target = path.replace(/\{\w+\}/g, () => encodeURIComponent((pieces[index++] ?? '').toWellFormed()));
          const search = new URLSearchParams(query).toString();
          return {
            method: method.toUpperCase(),
            path: search ? `${target}?${search}` : target,
            headers,
            body: body === undefined ? undefined : JSON.stringify(body).toWellFormed(),
          };
        });
    }),
  );
  return fc.oneof(...operations);
};

const pieceOfPath = fc.oneof(
  fc.constantFrom('nobody', '1', '-1', '0x10', '9'.repeat(30), '%00', '..', 'story:1b'),
  hostile,
  fc.string({ unit: 'binary', minLength: 1, maxLength: 80 }),
);

const spoiltBody = (drawn: unknown): fc.Arbitrary<unknown> =>
  typeof drawn === 'object' && drawn !== null && Object.keys(drawn).length > 0
    ? spoilt(drawn as Record<string, unknown>)
    : fc.jsonValue({ maxDepth: 3 });

const spoiltRequest = (key: string): fc.Arbitrary<BadRequest> =>
  fc.constantFrom(...VALID).chain((valid) =>
    fc
      .record({
        method: fc.oneof(
          { weight: 12, arbitrary: fc.constant(valid.method) },
          { weight: 1, arbitrary: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'PROPFIND') },
        ),
        path: fc.oneof(
          { weight: 12, arbitrary: fc.constant(valid.path) },
          {
            weight: 2,
            arbitrary: fc
              .tuple(
                fc.constantFrom(valid.path, '/v1/models/', '/api/v1/keys/', '/k/', `/k/${key}/`, '/api/v1/nodes/'),
                hostileText,
              )
              .map(([path, text]) => path + encodeURIComponent(text.toWellFormed()).slice(0, 2_000)),
          },
        ),
        headers: headersFrom(key),
        body: bodyFrom(valid.body),
      })
      .map(({ method, path, headers, body }) => ({
        method,
        path,
        headers,
        body: method === 'GET' || method === 'HEAD' ? undefined : body.toWellFormed(),
      })),
  );
