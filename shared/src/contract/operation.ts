import { z } from 'zod';

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

/** `METHOD /path`, the path as OpenAPI writes it: `{id}`. */
export type OperationName = `${Method} /api/v1/${string}`;

/** One operation of the management API. The server's routes, the OpenAPI document, the CLI and the dashboard derive from it. */
export interface Operation {
  /** Its name in the OpenAPI document. */
  readonly operationId: string;
  readonly summary: string;
  /** What access/authorize.ts of the coordinator decides about. */
  readonly action: string;
  readonly query?: z.ZodObject;
  readonly request?: z.ZodType;
  /** Absent: the answer has no body. */
  readonly response?: z.ZodType;
  /** Absent: 200, or 204 without a body. */
  readonly status?: 201;
  /** The answer is a stream of `event`s. */
  readonly stream?: 'text/event-stream' | 'application/x-ndjson';
  readonly event?: z.ZodType;
}

/** A table of operations, checked row by row; the rows keep their own types. */
export const operations = <const T extends Readonly<Record<OperationName, Operation>>>(table: T): T => table;

/** A whole number in a query. */
export const wholeNumber = (max: number) =>
  z
    .string()
    .refine((text) => /^\d{1,15}$/.test(text) && Number(text) >= 1 && Number(text) <= max, {
      error: `expected a whole number from 1 to ${max}`,
    })
    .transform(Number);
