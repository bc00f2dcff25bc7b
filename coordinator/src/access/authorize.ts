import type { ErrorCode } from '@lai/shared/errors';
import { namedBy } from '@lai/shared/model-name';
import type { Principal, Scope } from './principal.ts';

/**
 * Everything that can be done through the door, and which scopes allow it (one of them is enough). `anyone` needs no key: it shows
 * nothing about the fleet, or brings a secret of its own. Pure. HTTP routes and event streams ask the same question.
 */
export const ACTIONS = {
  'door.greet': 'anyone',
  'health.read': 'anyone',
  /** Signed files that are the same for everybody. */
  'release.read': 'anyone',
  /** Brings a registration token. */
  'node.enroll': 'anyone',
  /** Bring a setup token, a name and a password. */
  'setup.finish': 'anyone',
  'session.begin': 'anyone',
  'session.read': ['inference', 'read', 'admin'],
  'session.end': ['inference', 'read', 'admin'],
  'inference.run': ['inference'],
  /** A request of one's own, or of anybody for those who look after the fleet. */
  'request.explain': ['inference', 'read', 'admin'],
  'model.list': ['inference', 'read', 'admin'],
  'fleet.read': ['read', 'admin'],
  'key.read': ['admin'],
  'key.write': ['admin'],
  'token.read': ['admin'],
  'token.write': ['admin'],
  'node.read': ['read', 'admin'],
  'node.write': ['admin'],
  'update.read': ['read', 'admin'],
  'update.write': ['admin'],
  'user.read': ['admin'],
  'user.write': ['admin'],
  'audit.read': ['admin'],
} as const satisfies Record<string, 'anyone' | readonly Scope[]>;

export type Action = keyof typeof ACTIONS;

/** What the action is about, as far as it matters for who may. */
export interface ActionObject {
  readonly model?: string;
}

export type Decision =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message?: string };

export const authorize = (principal: Principal | null, action: Action, object: ActionObject = {}): Decision => {
  const allowed = ACTIONS[action];
  if (allowed === 'anyone') return { kind: 'allowed' };
  if (!principal) return { kind: 'refused', code: 'invalid_api_key' };
  if (!allowed.some((scope) => principal.scopes.includes(scope)))
    return { kind: 'refused', code: 'permission_denied', message: `This key lacks the scope ${orList(allowed)}.` };
  if (object.model !== undefined && !mayUse(principal, object.model))
    return {
      kind: 'refused',
      code: 'model_not_allowed',
      message: `This key may not use the model ${JSON.stringify(object.model)}, only ${(principal.models ?? []).join(', ')}.`,
    };
  return { kind: 'allowed' };
};

/** By what names mean, so that no other spelling of a name gets a key to a model that its list does not have. */
export const mayUse = ({ models }: Pick<Principal, 'models'>, model: string): boolean =>
  models === null || namedBy(models, model);

const orList = (scopes: readonly Scope[]): string => scopes.map((scope) => `"${scope}"`).join(' or ');
