import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { CodedError } from '@lai/shared/errors';

export const newRequestId = (): string => `req_${randomUUID().replaceAll('-', '')}`;

const MAX_TIMEOUT_SECONDS = 3_600;

/** `X-Lai-Timeout`: seconds the client will wait altogether. Null when it does not say. */
export const timeoutFromHeaders = (headers: IncomingHttpHeaders): number | null => {
  const header = headers['x-lai-timeout'];
  if (header === undefined) return null;
  const seconds = /^\d{1,4}(\.\d{1,3})?$/.test(String(header)) ? Number(header) : Number.NaN;
  if (!(seconds > 0 && seconds <= MAX_TIMEOUT_SECONDS)) {
    throw new CodedError('invalid_header', {
      message: `X-Lai-Timeout takes seconds, more than 0 and up to ${MAX_TIMEOUT_SECONDS}, for example 30.`,
      param: 'X-Lai-Timeout',
    });
  }
  // 1.001 * 1000 is not quite 1001, and the wire takes whole milliseconds only.
  return Math.round(seconds * 1_000);
};

const PRIORITIES = ['interactive', 'normal', 'batch'] as const;

/** `X-Lai-Priority`: who may go first while a queue is long. Null when the client does not say. */
export const priorityFromHeaders = (headers: IncomingHttpHeaders): (typeof PRIORITIES)[number] | null => {
  const header = headers['x-lai-priority'];
  if (header === undefined) return null;
  const priority = PRIORITIES.find((candidate) => candidate === header);
  if (priority) return priority;
  throw new CodedError('invalid_header', {
    message: `X-Lai-Priority is one of ${PRIORITIES.join(', ')}.`,
    param: 'X-Lai-Priority',
  });
};
