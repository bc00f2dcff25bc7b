import { describe, expect, it } from 'vitest';
import { model, node } from '../scheduler/__fixtures__/fleet.ts';
import { Household } from './household.ts';
import { noRules, RoutingRules } from './rules.ts';

const known = (name: string, isSimulated: boolean) => {
  const { nodeId, liveness, snapshot } = node(name, [model('m')]);
  const runtimes = [{ kind: 'x', version: null, state: 'ready' as const, mode: 'owned' as const, isSimulated, detail: null }];
  return { nodeId, liveness, snapshot: { ...snapshot, runtimes } };
};
const household = (nodes: readonly ReturnType<typeof known>[], environment: string | null = null, rules = noRules) =>
  new Household({
    ...{ nodes: () => nodes, rules: () => rules, providers: () => [], environment },
    groups: () =>
      new Map([
        ['node_a', 'attic'],
        ['node_b', 'default'],
      ]),
  });

describe('Household', () => {
  it('leaves out simulated machines while there is a real one, and takes them when there is none', () => {
    expect(
      household([known('a', true), known('b', false)])
        .world()
        .nodes.map(({ name }) => name),
    ).toEqual(['b']);
    expect(
      household([known('a', true)])
        .world()
        .nodes.map(({ name }) => name),
    ).toEqual(['a']);
  });

  it('knows the groups that operators put machines in; `default` is none', () => {
    const { nodes } = household([known('a', false), known('b', false)]).world();
    expect(nodes.map(({ group }) => group)).toEqual(['attic', null]);
  });

  it('reads the facts of a snapshot once', () => {
    const house = household([known('a', false)]);
    expect(house.world().nodes[0]).toBe(house.world().nodes[0]);
  });

  it('takes the default of its environment from the rules', () => {
    const rules = RoutingRules.parse({ environments: { staging: 'small' } });
    expect(household([], 'staging', rules).world().environmentDefault).toBe('small');
    expect(household([], 'production', rules).world().environmentDefault).toBeNull();
  });
});
