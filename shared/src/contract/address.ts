import type { Method, OperationName } from './operation.ts';

/** The names in braces. */
export type PathNames<Name extends string> = Name extends `${string}{${infer First}}${infer Rest}`
  ? First | PathNames<Rest>
  : never;

/** What an operation's address is filled in with. */
export type Filling<Name extends string, Query> = ([PathNames<Name>] extends [never]
  ? { readonly path?: undefined }
  : { readonly path: Readonly<Record<PathNames<Name>, string>> }) & { readonly query?: Query };

/** Where to send a request for an operation. Free of schemas: the browser has it too. */
export const addressOf = (
  name: OperationName,
  filling: { readonly path?: Readonly<Record<string, string>> | undefined; readonly query?: object | undefined } = {},
): { method: Method; path: string } => {
  const [method, pattern = ''] = name.split(' ') as [Method, string?];
  const path = pattern.replace(/\{(\w+)\}/g, (_, key: string) => segment(filling.path?.[key] ?? ''));
  const query = new URLSearchParams(
    Object.entries(filling.query ?? {}).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, String(value)] as [string, string]],
    ),
  ).toString();
  return { method, path: query === '' ? path : `${path}?${query}` };
};

/** Addresses are tidied on their way: `..` would name another operation, however it is spelled. */
const segment = (value: string): string => {
  if (['', '.', '..'].includes(value)) throw new Error(`"${value}" cannot be the name of anything.`);
  return encodeURIComponent(value);
};
