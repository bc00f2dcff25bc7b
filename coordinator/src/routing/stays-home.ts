import type { ProviderPlace } from './route.ts';

declare const brand: unique symbol;

/** Proof that a request may reach a provider. Made here alone, demanded by the only function that starts a provider attempt. */
export interface Permit {
  readonly [brand]: true;
}

const issued = new WeakSet<object>();

/** Null when the request stays home and the provider is not at home. */
export const permitFor = (place: ProviderPlace, staysHome: boolean): Permit | null => {
  if (staysHome && place === 'cloud') return null;
  const permit = Object.freeze({}) as Permit;
  issued.add(permit);
  return permit;
};

/** Types can be cast; this cannot. */
export const isPermit = (value: unknown): value is Permit => typeof value === 'object' && value !== null && issued.has(value);
