import { SCOPES } from '@lai/shared/admin-api';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ACTIONS, type Action, authorize, mayUse } from './authorize.ts';
import type { Principal, Scope } from './principal.ts';

const actions = Object.keys(ACTIONS) as Action[];
const principal = (...scopes: Scope[]): Principal => ({ keyId: 'key_1', name: 'n', scopes, models: null });

/** Who may do what, written down a second time, on purpose. */
const TABLE: Record<Action, string> = {
  'door.greet': 'anyone inference read admin',
  'health.read': 'anyone inference read admin',
  'release.read': 'anyone inference read admin',
  'node.enroll': 'anyone inference read admin',
  'setup.finish': 'anyone inference read admin',
  'session.begin': 'anyone inference read admin',
  'session.read': 'inference read admin',
  'session.end': 'inference read admin',
  'inference.run': 'inference',
  'request.explain': 'inference read admin',
  'model.list': 'inference read admin',
  'fleet.read': 'read admin',
  'key.read': 'admin',
  'key.write': 'admin',
  'token.read': 'admin',
  'token.write': 'admin',
  'node.read': 'read admin',
  'node.write': 'admin',
  'update.read': 'read admin',
  'update.write': 'admin',
  'user.read': 'admin',
  'user.write': 'admin',
  'audit.read': 'admin',
};

describe('who may', () => {
  it.each(actions)('%s', (action) => {
    const allowed = TABLE[action].split(' ');
    expect(authorize(null, action).kind === 'allowed').toBe(allowed.includes('anyone'));
    for (const scope of SCOPES) expect(authorize(principal(scope), action).kind === 'allowed').toBe(allowed.includes(scope));
  });

  it('is answered with 401 for who has no key and 403 for who has the wrong one', () => {
    expect(authorize(null, 'key.write')).toMatchObject({ code: 'invalid_api_key' });
    expect(authorize(principal('inference'), 'key.write')).toMatchObject({ code: 'permission_denied' });
  });

  it('never gets less by one more scope', () => {
    fc.assert(
      fc.property(fc.subarray([...SCOPES]), fc.constantFrom(...SCOPES), fc.constantFrom(...actions), (some, more, action) => {
        if (authorize(principal(...some), action).kind === 'allowed')
          expect(authorize(principal(...some, more), action).kind).toBe('allowed');
      }),
    );
  });
});

describe('a key for certain models', () => {
  it.each<[string[] | null, string, boolean]>([
    [null, 'anything', true],
    [['llama3.2:1b'], 'llama3.2:1b', true],
    [['llama3.2:1b'], 'llama3.2:3b', false],
    [['llama3.2:1b'], 'auto', false],
    [['auto'], 'auto', true],
    [['qwen'], 'qwen:latest', true],
    [['qwen:latest'], 'qwen', true],
    [['llama*'], 'llama3.2:1b', true],
    [['llama*'], 'Llama3', true],
    [['Llama*'], 'llama3', true],
    [['qwen'], 'library/Qwen:latest', true],
    [['lib*'], 'library/qwen', false],
    [['library/*'], 'qwen', false],
    [['hf.co/*'], 'huggingface.co/a/b', true],
    [['*'], 'anything', true],
    [['a', 'b*'], 'bc', true],
    [['a.c'], 'abc', false],
    [[], 'anything', false],
  ])('%j: %s is allowed: %s', (models, model, isAllowed) => {
    expect(mayUse({ models }, model)).toBe(isAllowed);
    const decision = authorize({ ...principal('inference'), models }, 'inference.run', { model });
    expect(decision.kind).toBe(isAllowed ? 'allowed' : 'refused');
    if (!isAllowed) expect(decision).toMatchObject({ code: 'model_not_allowed' });
  });
});
