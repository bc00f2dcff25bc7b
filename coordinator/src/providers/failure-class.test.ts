import { describe, expect, it } from 'vitest';
import { classify, type ProviderReply, retryAfterIn } from './failure-class.ts';

const error = (code: unknown, message = 'No.') => JSON.stringify({ error: { message, code } });
const reply = (status: number, body = '', headers: ProviderReply['headers'] = {}): ProviderReply => ({ status, headers, body });

describe('classify', () => {
  it.each<[string, ProviderReply, string]>([
    ['OpenAI: rate', reply(429, error('rate_limit_exceeded')), 'provider_rate_limited'],
    ['OpenAI: quota', reply(429, error('insufficient_quota')), 'provider_quota_exhausted'],
    ['OpenAI: key', reply(401, error('invalid_api_key')), 'provider_auth_failed'],
    ['OpenAI: region', reply(403, error('unsupported_country')), 'provider_auth_failed'],
    ['OpenAI: length', reply(400, error('context_length_exceeded')), 'context_length_exceeded'],
    ['OpenAI: policy', reply(400, error('content_policy_violation')), 'content_filtered'],
    ['OpenAI: model', reply(404, error('model_not_found')), 'model_not_found'],
    ['OpenAI: a bad field', reply(400, error('invalid_value', 'temperature is too high')), 'request_refused'],
    ['Azure: deployment', reply(404, error('DeploymentNotFound')), 'model_not_found'],
    ['Azure: filter', reply(400, error('content_filter')), 'content_filtered'],
    ['Azure: rate', reply(429, error('429')), 'provider_rate_limited'],
    [
      'Hugging Face: credits',
      reply(402, JSON.stringify({ error: 'You have exceeded your monthly included credits' })),
      'provider_quota_exhausted',
    ],
    [
      'Hugging Face: key, as a string',
      reply(401, JSON.stringify({ error: 'Invalid username or password.' })),
      'provider_auth_failed',
    ],
    ['Z.ai: rate', reply(429, error('1302')), 'provider_rate_limited'],
    ['Z.ai: balance', reply(429, error('1113')), 'provider_quota_exhausted'],
    ['Z.ai: window of a plan', reply(429, error(1308)), 'provider_quota_exhausted'],
    ['Z.ai: overload', reply(429, error('1305')), 'provider_overloaded'],
    ['Open WebUI: key', reply(401, JSON.stringify({ detail: 'Not authenticated' })), 'provider_auth_failed'],
    ['Open WebUI: model', reply(400, JSON.stringify({ detail: 'Model not found' })), 'model_not_found'],
    ['a list of errors', reply(400, JSON.stringify([{ error: { code: 'context_length_exceeded' } }])), 'context_length_exceeded'],
    ['overload', reply(503), 'provider_overloaded'],
    ['overload by its own status', reply(529), 'provider_overloaded'],
    ['a page of a proxy', reply(502, '<html>Bad gateway</html>'), 'provider_error'],
    ['an unknown route', reply(404, '<html>Not found</html>'), 'provider_error'],
    ['an unknown status', reply(418), 'provider_error'],
  ])('reads %s', (_name, answer, code) => {
    expect(classify(answer).code).toBe(code);
  });

  it.each([500, 502, 504, 408])('tries HTTP %i once more', (status) => {
    expect(classify(reply(status)).isTransient).toBe(true);
  });

  it.each([400, 401, 402, 403, 404, 429, 503, 529])('does not try HTTP %i once more', (status) => {
    expect(classify(reply(status)).isTransient).toBe(false);
  });
});

describe('retryAfterIn', () => {
  it.each<[ProviderReply['headers'], string, number | null]>([
    [{ 'retry-after-ms': '6712', 'retry-after': '7' }, '', 6_712],
    [{ 'retry-after': '7' }, '', 7_000],
    [{ 'retry-after': new Date(61_000).toUTCString() }, '', 60_000],
    [{}, 'Please try again in 6.712s.', 6_712],
    [{}, 'Please retry in 34 s', 34_000],
    [{}, 'try again in 250ms', 250],
    [{}, '{"retryDelay": "34s"}', 34_000],
    [{ 'retry-after': 'soon' }, '', null],
    [{}, '', null],
  ])('reads %j %s', (headers, body, ms) => {
    expect(retryAfterIn(headers, body, 1_000)).toBe(ms);
  });
});
