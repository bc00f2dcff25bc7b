import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { CodedError } from '@lai/shared/errors';
import type { Job } from '@lai/shared/job';
import type { Principal } from '../access/api-keys.ts';
import type { StoredJob } from '../jobs/job-store.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { Webhooks } from '../jobs/webhooks.ts';
import type { Route } from '../routing/route.ts';
import type { Target } from '../routing/target.ts';
import { readBytes } from './openai/body.ts';
import { errorBody } from './openai/error-envelope.ts';
import { withText } from './openai/foreign-json.ts';
import { questionIn } from './openai/questions.ts';
import { priorityFromHeaders, timeoutFromHeaders } from './openai/request-options.ts';
import { type RoutingDoor, routeFor } from './openai/request-route.ts';
import type { Door } from './openai/serve.ts';

/** A job nobody set a limit for is given up after a day. */
const DEADLINE_MS = 24 * 3_600_000;
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

export interface JobsDoor {
  readonly jobs: Jobs;
  readonly webhooks: Webhooks;
  readonly routing: RoutingDoor;
  readonly maxTextBodyBytes: number;
}

/** `POST /v1/jobs`: the body of any chat, completion or embeddings request; answered with 202 once it cannot get lost any more. */
export const submitJob = async (
  request: IncomingMessage,
  principal: Principal,
  door: JobsDoor & Pick<Door, 'dispatcher'>,
): Promise<unknown> => {
  const { headers } = request;
  const idempotencyKey = idempotencyKeyIn(headers);
  const webhook = webhookIn(headers, door.webhooks);
  const timeoutMs = timeoutFromHeaders(headers) ?? DEADLINE_MS;
  const priority = priorityFromHeaders(headers) ?? 'batch';
  const bytes = await readBytes(request);
  const { question } = questionIn(bytes, { maxTextBytes: door.maxTextBodyBytes });
  const target = targetOf(routeFor({ ...question, headers }, principal, door.routing));
  door.dispatcher.refuseTarget(target);
  const job = await door.jobs.submit({
    keyId: principal.keyId,
    route: question.route,
    target,
    body: bytes.toString(),
    priority,
    idempotencyKey,
    deadlineMs: Date.now() + timeoutMs,
    webhook,
  });
  return describeJob(job);
};

/** A job runs on the fleet, however long that takes: the first step there is its place. */
const targetOf = ({ asked, steps }: Route): Target => {
  const step = steps.find(({ kind }) => kind === 'fleet');
  if (step?.kind === 'fleet') return step.target;
  throw new CodedError('model_not_found', {
    message: `Jobs run on your own machines, and "${asked}" leads to none of them. GET /v1/models lists what they have.`,
    param: 'model',
  });
};

export const describeJob = (job: StoredJob): Job => ({
  id: job.id,
  object: 'job',
  status: job.state,
  route: job.route,
  model: job.target.model,
  priority: job.priority,
  created_at: seconds(job.submittedAtMs),
  started_at: seconds(job.startedAtMs),
  finished_at: seconds(job.finishedAtMs),
  expires_at: seconds(job.deadlineMs),
  node: job.nodeName ?? null,
  result: job.result === null ? null : withText(JSON.parse(job.result) as unknown, job.result),
  error: job.errorCode === undefined ? null : errorBody({ code: job.errorCode, message: job.errorMessage ?? '' }).error,
});

const seconds = (ms: number | undefined): number | null => (ms === undefined ? null : Math.floor(ms / 1_000));

const idempotencyKeyIn = (headers: IncomingHttpHeaders): string | null => {
  const key = headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key === 'string' && IDEMPOTENCY_KEY.test(key)) return key;
  throw new CodedError('invalid_header', {
    message: 'Idempotency-Key takes 1 to 255 visible characters.',
    param: 'Idempotency-Key',
  });
};

const webhookIn = (headers: IncomingHttpHeaders, webhooks: Webhooks): string | null => {
  const url = headers['x-lai-webhook'];
  if (url === undefined) return null;
  if (typeof url === 'string' && webhooks.allows(url)) return url;
  throw new CodedError('invalid_header', {
    message: 'X-Lai-Webhook takes a URL on a host that the operator has allowed (LAI_WEBHOOK_HOSTS).',
    param: 'X-Lai-Webhook',
  });
};
