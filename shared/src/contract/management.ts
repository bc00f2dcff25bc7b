import type { z } from 'zod';
import { accessOperations } from './access.ts';
import { fleetOperations } from './fleet.ts';
import type { Operation } from './operation.ts';
import { releaseOperations } from './releases.ts';
import { routingOperations } from './routing.ts';

/**
 * The management API, whole: every operation once, by `METHOD /path`. Browsers import its types alone, since the schemas behind them
 * weigh more than a page.
 */
export const MANAGEMENT = { ...fleetOperations, ...routingOperations, ...accessOperations, ...releaseOperations };

export type Management = typeof MANAGEMENT;
export type ManagementName = keyof Management;

type Part<Name extends ManagementName, Key extends keyof Operation> =
  Management[Name] extends Readonly<Record<Key, infer Schema extends z.ZodType>> ? Schema : z.ZodUndefined;

/** As it is sent; `undefined` where nothing is. */
export type RequestOf<Name extends ManagementName> = z.input<Part<Name, 'request'>>;
/** As it was read, with its defaults. */
export type ReadRequestOf<Name extends ManagementName> = z.output<Part<Name, 'request'>>;
export type ResponseOf<Name extends ManagementName> = z.output<Part<Name, 'response'>>;
export type ReadQueryOf<Name extends ManagementName> = Management[Name] extends { readonly query: infer Schema extends z.ZodType }
  ? z.output<Schema>
  : Record<never, never>;
export type QueryOf<Name extends ManagementName> = { readonly [Key in keyof ReadQueryOf<Name>]: ReadQueryOf<Name>[Key] };
