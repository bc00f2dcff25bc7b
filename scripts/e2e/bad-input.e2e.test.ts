import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';

const MODEL = 'story:1b';

describe('bad input', () => {
  let fleet: Fleet;

  beforeAll(async () => {
    fleet = await Fleet.start({
      nodes: [{ name: 'only', models: `${MODEL}=0.1GB,slots=2,tps=0,ctx=4096,caps=chat`, tuning: { coldLoadMsPerGb: 0 } }],
    });
  });
  afterAll(() => fleet?.stop());

  const post = async (body: string, headers: Record<string, string> = {}, path = '/v1/chat/completions') => {
    const response = await fetch(`${fleet.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${fleet.key}`, 'content-type': 'application/json', ...headers },
      body,
    });
    const json = (await response.json()) as { error: { code: string; message: string; type: string; param: string | null } };
    return { status: response.status, headers: response.headers, ...json.error };
  };
  const messages = [{ role: 'user', content: 'Hi.' }];
  const valid = { model: MODEL, max_tokens: 3, messages };

  const cases: [
    string,
    () => ReturnType<typeof post>,
    { status: number; code: string; message: RegExp; param?: string | null },
  ][] = [
    ['malformed JSON', () => post('{"model": "x", '), { status: 400, code: 'invalid_json', message: /not valid JSON/ }],
    ['no JSON object', () => post('[1, 2]'), { status: 400, code: 'invalid_value', message: /JSON object/ }],
    ['an empty body', () => post(''), { status: 400, code: 'invalid_json', message: /not valid JSON/ }],
    [
      '5 MB of text',
      () => post(JSON.stringify({ ...valid, messages: [{ role: 'user', content: 'x'.repeat(5_000_000) }] })),
      { status: 413, code: 'body_too_large', message: /4 MiB/ },
    ],
    ['30 MB', () => post('x'.repeat(30_000_000)), { status: 413, code: 'body_too_large', message: /20 MiB/ }],
    [
      'arrays 100,000 deep',
      () => post(`{"model":"x","messages":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
      { status: 400, code: 'body_too_deep', message: /64 levels/ },
    ],
    [
      'an unknown model',
      () => post(JSON.stringify({ ...valid, model: 'nope:7b' })),
      { status: 404, code: 'model_not_found', message: /nope:7b.*story:1b/, param: 'model' },
    ],
    [
      'no messages',
      () => post(JSON.stringify({ model: MODEL })),
      { status: 400, code: 'invalid_value', message: /messages/, param: 'messages' },
    ],
    [
      'empty messages',
      () => post(JSON.stringify({ ...valid, messages: [] })),
      { status: 400, code: 'invalid_value', message: /messages/, param: 'messages' },
    ],
    [
      'a message without a role',
      () => post(JSON.stringify({ ...valid, messages: [{ content: 'x' }] })),
      { status: 400, code: 'invalid_value', message: /role/, param: 'messages[0].role' },
    ],
    [
      'a negative max_tokens',
      () => post(JSON.stringify({ ...valid, max_tokens: -1 })),
      { status: 400, code: 'invalid_value', message: /max_tokens/, param: 'max_tokens' },
    ],
    [
      'a model that is no string',
      () => post(JSON.stringify({ ...valid, model: 7 })),
      { status: 400, code: 'invalid_value', message: /model/, param: 'model' },
    ],
    [
      'an image for a model that cannot see',
      () =>
        post(
          JSON.stringify({
            ...valid,
            messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }],
          }),
        ),
      { status: 400, code: 'capability_missing', message: /./, param: 'model' },
    ],
    [
      'a prompt longer than any context',
      () => post(JSON.stringify({ ...valid, messages: [{ role: 'user', content: 'word '.repeat(40_000) }] })),
      { status: 400, code: 'context_length_exceeded', message: /context/ },
    ],
    [
      'a form instead of JSON',
      () => post('a=b', { 'content-type': 'application/x-www-form-urlencoded' }),
      { status: 415, code: 'unsupported_media_type', message: /application\/json/ },
    ],
    [
      'a timeout that is no number',
      () => post(JSON.stringify(valid), { 'x-lai-timeout': 'soon' }),
      { status: 400, code: 'invalid_header', message: /X-Lai-Timeout/, param: 'X-Lai-Timeout' },
    ],
    [
      'a wrong key',
      () => post(JSON.stringify(valid), { authorization: 'Bearer lai_00000000000000000000000000000000' }),
      { status: 401, code: 'invalid_api_key', message: /lai_/ },
    ],
    [
      'a key of another shape',
      () => post(JSON.stringify(valid), { authorization: "Bearer ' OR 1=1 --" }),
      { status: 401, code: 'invalid_api_key', message: /lai_/ },
    ],
    ['an unknown route', () => post('{}', {}, '/v1/nope'), { status: 404, code: 'route_not_found', message: /\/v1\/nope/ }],
    [
      'a prototype key',
      () => post(`{"__proto__": {"model": "x"}, "model": "nope", "messages": [{"role": "user", "content": "x"}]}`),
      { status: 404, code: 'model_not_found', message: /nope/ },
    ],
    [
      'a forged registration token',
      () => post(JSON.stringify({ token: 'laj_0', name: 'x', publicKey: `${'A'.repeat(43)}=` }), {}, '/api/v1/enroll'),
      { status: 403, code: 'permission_denied', message: /lai tokens create/ },
    ],
  ];

  it.each(cases)("%s is refused in OpenAI's shape with what and why", async (_name, send, expected) => {
    const answer = await send();
    expect(answer.status).toBe(expected.status);
    expect(answer.code).toBe(expected.code);
    expect(answer.message).toMatch(expected.message);
    expect(answer.type).toMatch(/_error$/);
    if (expected.param !== undefined) expect(answer.param).toBe(expected.param);
    expect(answer.headers.get('x-request-id')).toMatch(/^req_/);
    expect(answer.message).not.toMatch(/\bat .*\.(ts|js):\d+/);
  });

  it.each([
    [
      'a header of 20 kB',
      `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-long: ${'a'.repeat(20_000)}\r\n\r\n`,
      /^HTTP\/1\.1 431 /,
    ],
    [
      'two lengths',
      'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc',
      /^HTTP\/1\.1 400 /,
    ],
    [
      'a length and chunks',
      'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      /^HTTP\/1\.1 400 /,
    ],
    ['no HTTP at all', 'hello\r\n\r\n', /^HTTP\/1\.1 400 /],
  ])('%s is refused on the wire', async (_name, bytes, expected) => {
    expect(await raw(fleet.url, bytes)).toMatch(expected);
  });

  it('and the process has survived all of it', async () => {
    const response = await fleet.chat({ ...valid, store: true, parallel_tool_calls: false, my_own_field: { deep: [1] } });
    expect(response.status).toBe(200);
    expect((await fleet.status()).nodes).toHaveLength(1);
    expect(fleet.coordinator.text).not.toContain('request failed inside Lai');
  });
});

/** Everything the server says to these bytes. */
const raw = (url: string, bytes: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    let text = '';
    socket.setEncoding('latin1').on('data', (piece: string) => {
      text += piece;
    });
    socket.on('close', () => resolve(text)).on('error', reject);
    socket.setTimeout(5_000, () => socket.destroy());
  });
