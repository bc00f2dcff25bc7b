/**
 * The one table of failure codes. A code travels unchanged from where it was noticed (agent, scheduler, API) to the client;
 * only the coordinator's `api/` room turns it into HTTP. Codes are add-only: clients branch on them.
 *
 * - `status`, `type`: what an OpenAI client sees. Types are OpenAI's own words.
 * - `failover`: may another node be tried while nothing has reached the client?
 * - `clientRetry`: is it worth the client's while to send the same request again? `false` becomes `x-should-retry: false`.
 * - `sentence`: what, why and what next, for the person who reads it. Detail for us goes to the log, never to the client:
 *   an engine's own error text has leaked heap addresses before (CVE-2026-22778).
 */
export interface ErrorEntry {
  readonly status: number;
  readonly type: OpenAiErrorType;
  readonly failover: boolean;
  readonly clientRetry: boolean;
  readonly sentence: string;
}

export type OpenAiErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'rate_limit_error'
  | 'insufficient_quota'
  | 'server_error';

const entry = (
  status: number,
  type: OpenAiErrorType,
  sentence: string,
  { failover = false, clientRetry = status >= 500 } = {},
): ErrorEntry => ({ status, type, failover, clientRetry, sentence });

export const ERRORS = {
  // The request itself
  invalid_json: entry(400, 'invalid_request_error', 'The request body is not valid JSON.'),
  invalid_value: entry(400, 'invalid_request_error', 'A field of the request has a value that cannot be used.'),
  invalid_header: entry(400, 'invalid_request_error', 'A request header has a value that cannot be used.'),
  body_too_large: entry(413, 'invalid_request_error', 'The request body is larger than this server accepts.'),
  body_too_deep: entry(400, 'invalid_request_error', 'The request body is nested deeper than this server accepts.'),
  unsupported_media_type: entry(415, 'invalid_request_error', 'Send the body as application/json.'),
  route_not_found: entry(404, 'invalid_request_error', 'There is no such route. /docs lists what the endpoint serves.'),
  method_not_allowed: entry(405, 'invalid_request_error', 'This route does not take that method.'),
  unsupported_operation: entry(
    400,
    'invalid_request_error',
    "This operation concerns one machine's engine, not a fleet. Run it on the machine itself.",
  ),
  model_not_found: entry(404, 'invalid_request_error', 'No node has this model. GET /v1/models lists what there is.'),
  capability_missing: entry(
    400,
    'invalid_request_error',
    'No node has a model of that name that can do what the request asks for.',
  ),
  model_too_large: entry(
    400,
    'invalid_request_error',
    'The model is larger than the memory of every node that has it. Choose a smaller one, or a smaller quantization of it.',
  ),
  context_length_exceeded: entry(
    400,
    'invalid_request_error',
    "The prompt is longer than the model's context. Shorten it, or choose a model with a longer context.",
  ),
  request_refused: entry(400, 'invalid_request_error', 'The engine refused the request as invalid.'),
  request_quarantined: entry(
    422,
    'invalid_request_error',
    'This request crashed two engines and is blocked for an hour. Change it before you send it again.',
  ),

  job_not_found: entry(404, 'invalid_request_error', 'There is no such job, or it is older than a day.'),
  idempotency_mismatch: entry(
    422,
    'invalid_request_error',
    'This Idempotency-Key was used for another request. Take a new key for a new request.',
  ),
  job_unreadable: entry(
    500,
    'server_error',
    'What was kept of this job was encrypted under another LAI_PAYLOAD_KEY and cannot be read. Submit it as a new job.',
  ),

  // Who asks
  invalid_api_key: entry(
    401,
    'authentication_error',
    'Missing or invalid API key. Send "Authorization: Bearer lai_…"; `lai keys create` makes one.',
  ),
  sign_in_failed: entry(401, 'authentication_error', 'The name or the password is wrong.'),
  cross_site_refused: entry(403, 'permission_error', 'This was asked by a page of another site, and refused.'),
  permission_denied: entry(403, 'permission_error', 'This key may not do that.'),
  model_not_allowed: entry(403, 'permission_error', 'This key may not use that model. GET /v1/models lists those it may use.'),
  stays_home: entry(
    403,
    'permission_error',
    'This request must not leave home, and nothing at home can serve it. Ask for a model of your own machines, or allow cloud providers.',
  ),
  entry_not_found: entry(404, 'invalid_request_error', 'There is no such entry, or it is in another state.'),
  release_failed: entry(500, 'server_error', 'The agent could not be prepared for the machine that is to join.'),
  rate_limit_exceeded: entry(429, 'rate_limit_error', 'Too many requests. Wait as long as Retry-After says.', {
    clientRetry: true,
  }),

  // Capacity
  no_capacity: entry(503, 'server_error', 'No node could take the request in time.'),
  queue_full: entry(503, 'server_error', 'The queue is full. Wait as long as Retry-After says.'),
  model_loading: entry(503, 'server_error', 'The model is still being loaded.', { failover: true }),
  load_failed: entry(503, 'server_error', 'The model could not be loaded.', { failover: true }),
  store_unavailable: entry(
    503,
    'server_error',
    'The coordinator cannot use its Redis right now: it does not answer, or it is full. Nothing was started. Try again shortly.',
  ),
  shutting_down: entry(503, 'server_error', 'The coordinator is shutting down. Try again shortly.'),

  // A provider that was asked instead of the fleet, or beside it
  provider_rate_limited: entry(
    429,
    'rate_limit_error',
    'The provider refuses requests for a while. Wait as long as Retry-After says.',
    {
      failover: true,
      clientRetry: true,
    },
  ),
  provider_quota_exhausted: entry(
    429,
    'insufficient_quota',
    'The account at the provider has nothing left to spend. Its owner can add credit, or choose another model.',
    { failover: true, clientRetry: false },
  ),
  provider_auth_failed: entry(
    502,
    'server_error',
    'The provider refused the key that is configured for it. The operator has to set another one in providers.yaml.',
    { failover: true, clientRetry: false },
  ),
  provider_overloaded: entry(503, 'server_error', 'The provider is overloaded. Try again shortly.', { failover: true }),
  provider_unreachable: entry(502, 'server_error', 'The provider could not be reached. Try again shortly.', { failover: true }),
  provider_error: entry(502, 'server_error', 'The provider failed, or answered with something that is no answer.', {
    failover: true,
  }),
  provider_capacity_exceeded: entry(503, 'server_error', 'As many requests as are allowed run at the provider already.', {
    failover: true,
  }),
  content_filtered: entry(400, 'invalid_request_error', "The provider's content filter refused the request."),

  // What happened to an attempt
  node_busy: entry(503, 'server_error', 'The node had no free slot.', { failover: true }),
  node_held: entry(503, 'server_error', 'The node takes no work at the moment.', { failover: true }),
  node_lost: entry(
    502,
    'server_error',
    'The machine that was answering disappeared before the answer was complete. Send the request again.',
    { failover: true },
  ),
  accept_timeout: entry(502, 'server_error', 'The node did not accept the request in time.', { failover: true }),
  preempted: entry(
    503,
    'server_error',
    "The machine's owner took the GPU back before the answer was complete. Send the request again.",
    { failover: true },
  ),
  engine_unreachable: entry(502, 'server_error', 'The inference engine on the node did not answer.', { failover: true }),
  engine_overloaded: entry(503, 'server_error', 'The inference engine on the node was too busy to take the request.', {
    failover: true,
  }),
  engine_crashed: entry(
    502,
    'server_error',
    'The inference engine stopped before the answer was complete. Send the request again.',
    { failover: true },
  ),
  engine_error: entry(502, 'server_error', 'The inference engine reported an error.', { failover: true }),
  out_of_memory: entry(503, 'server_error', 'The node ran out of memory for this model.', { failover: true }),
  incomplete_answer: entry(
    502,
    'server_error',
    'The inference engine ended the answer without finishing it. Send the request again.',
    { failover: true },
  ),
  first_token_timeout: entry(504, 'server_error', 'The model produced nothing in time.', { failover: true }),
  stall_timeout: entry(504, 'server_error', 'The model stopped producing in the middle of the answer. Send the request again.', {
    failover: true,
  }),
  deadline_exceeded: entry(504, 'server_error', 'The request ran out of time. Raise X-Lai-Timeout or ask for less.', {
    clientRetry: false,
  }),
  slow_reader: entry(499, 'server_error', 'The client read the answer too slowly, so generation was stopped.', {
    clientRetry: false,
  }),
  update_refused: entry(409, 'invalid_request_error', 'The node did not take the update.'),
  canceled: entry(499, 'server_error', 'The client closed the request.', { clientRetry: false }),
  internal_error: entry(500, 'server_error', 'Something went wrong inside Lai. The request id finds it in the log.', {
    failover: true,
  }),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

export const errorCodes = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]];

export const isErrorCode = (value: unknown): value is ErrorCode => typeof value === 'string' && Object.hasOwn(ERRORS, value);

/** What went wrong, for code that must throw. `message` is for the client, `cause` and `detail` are for the log. */
export class CodedError extends Error {
  readonly code: ErrorCode;
  /** JSON path of the offending field or the name of the header, when there is one. */
  readonly param: string | null;
  readonly detail: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ErrorCode,
    options: { message?: string; param?: string; detail?: string; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(options.message ?? ERRORS[code].sentence, { cause: options.cause });
    this.name = 'CodedError';
    this.code = code;
    this.param = options.param ?? null;
    this.detail = options.detail;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}
