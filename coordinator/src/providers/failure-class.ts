import type { ErrorCode } from '@lai/shared/errors';

/** What a provider's refusal means, and how long its key or its model should be left alone. */
export interface ProviderFailure {
  readonly code: ErrorCode;
  /** As the provider asks; null when it does not say. */
  readonly retryAfterMs: number | null;
  /** Worth one more try on the same provider, a second later. */
  readonly isTransient: boolean;
}

export interface ProviderReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

const LONG = /context[ _]length|maximum context|too many tokens|prompt is too long|exceeds the maximum|context_window/i;
const QUOTA = /insufficient_quota|quota.{0,20}exceeded|credit balance|billing|out of credits|monthly (included )?credits/i;
const FILTER = /content_filter|content_policy|ResponsibleAIPolicy/i;
const NO_MODEL = /model_not_found|DeploymentNotFound|model .{0,80}(does not exist|not found)|not found.{0,20}model/i;
/** Z.ai answers 429 for three things; only its own code tells them apart. */
const ZAI_BALANCE = new Set(['1113', '1308']);
const ZAI_OVERLOAD = new Set(['1305', '1234']);

/** By status, headers and body, whatever shape the body has. Pure. */
export const classify = ({ status, headers, body }: ProviderReply): ProviderFailure => {
  const code = codeIn(body);
  const retryAfterMs = retryAfterIn(headers, body);
  const as = (failure: ErrorCode, isTransient = false): ProviderFailure => ({ code: failure, retryAfterMs, isTransient });
  if (status === 402 || QUOTA.test(body) || ZAI_BALANCE.has(code)) return as('provider_quota_exhausted');
  if (status === 401 || status === 403) return as('provider_auth_failed');
  if (/overloaded/i.test(code)) return as('provider_overloaded');
  if (status === 429 || code === 'rate_limit_exceeded')
    return as(ZAI_OVERLOAD.has(code) ? 'provider_overloaded' : 'provider_rate_limited');
  if (status === 400 || status === 404 || status === 413 || status === 422) {
    if (LONG.test(body) || code === '1261') return as('context_length_exceeded');
    if (FILTER.test(body) || code === '1301') return as('content_filtered');
    if (NO_MODEL.test(body)) return as('model_not_found');
    return status === 404 ? as('provider_error') : as('request_refused');
  }
  if (status === 503 || status === 529 || ZAI_OVERLOAD.has(code)) return as('provider_overloaded');
  if (status === 500 || status === 502 || status === 504 || status === 408) return as('provider_error', true);
  return as('provider_error');
};

/** `error.code` of the bodies that providers send; empty when there is none. */
const codeIn = (body: string): string => {
  try {
    const value: unknown = JSON.parse(body);
    const [first] = Array.isArray(value) ? value : [value];
    const error = fieldOf(first, 'error') ?? first;
    const code = fieldOf(error, 'code');
    return typeof code === 'string' || typeof code === 'number' ? String(code) : '';
  } catch {
    return '';
  }
};

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;

/** `retry-after-ms`, `retry-after` in seconds or as a date, then words in the body. */
export const retryAfterIn = (headers: ProviderReply['headers'], body: string, nowMs: number = Date.now()): number | null => {
  const milliseconds = Number(headers['retry-after-ms']);
  if (headers['retry-after-ms'] !== undefined && milliseconds >= 0) return milliseconds;
  const after = headers['retry-after'];
  if (typeof after === 'string' && after !== '') {
    if (/^\d+(\.\d+)?$/.test(after)) return Number(after) * 1_000;
    const date = Date.parse(after);
    if (Number.isFinite(date)) return Math.max(0, date - nowMs);
  }
  const words =
    /(?:try again|retry) in (\d+(?:\.\d+)?) ?(ms|s)\b/i.exec(body) ?? /"retryDelay": ?"(\d+(?:\.\d+)?)(s)"/.exec(body);
  return words ? Number(words[1]) * (words[2] === 'ms' ? 1 : 1_000) : null;
};
