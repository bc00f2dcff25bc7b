import type { RoutingNode, RoutingProvider } from './fleet-facts.ts';
import { type RoutingRules, ruleOf } from './rules.ts';

/** Nodes and providers under one name. */
export interface Group {
  readonly name: string;
  readonly nodes: readonly RoutingNode[];
  readonly providers: readonly RoutingProvider[];
  /** `rules`: routing.yaml; `operator`: nodes that were put in it; `derived`: what the fleet itself suggests. */
  readonly source: 'rules' | 'operator' | 'derived';
}

/** Which nodes were derived last time, by group: a node stays in its group unless another one is clearly better. */
export type Derived = Readonly<Record<'small' | 'big', readonly string[]>>;

/** A node must have this many times the memory of the derived ones to take their place. */
const CLEARLY_MORE = 1.1;

interface World {
  readonly rules: RoutingRules;
  readonly nodes: readonly RoutingNode[];
  readonly providers: readonly RoutingProvider[];
  readonly derived: Derived;
}

/** The group of that name, or null. Rules come first, then what operators put nodes in, then what is derived. */
export const groupOf = (name: string, { rules, nodes, providers, derived }: World): Group | null => {
  const lower = name.toLowerCase();
  const listed = ruleOf(rules.groups, name);
  if (listed) {
    const members = new Set(listed.map((member) => member.toLowerCase()));
    return {
      name: lower,
      nodes: nodes.filter((node) => members.has(node.name.toLowerCase())),
      providers: listed.flatMap((member) => providers.filter((provider) => provider.id.toLowerCase() === member.toLowerCase())),
      source: 'rules',
    };
  }
  const grouped = nodes.filter((node) => node.group?.toLowerCase() === lower);
  if (grouped.length > 0) return { name: lower, nodes: grouped, providers: [], source: 'operator' };
  if (lower !== 'small' && lower !== 'big') return null;
  const members = new Set(derived[lower]);
  const suggested = nodes.filter((node) => members.has(node.nodeId));
  return suggested.length === 0 ? null : { name: lower, nodes: suggested, providers: [], source: 'derived' };
};

/**
 * `small`: the always-on nodes, or those with the least accelerator memory; `big`: those with the most. Nodes of equal memory belong
 * together. `previous` keeps groups from changing with every node that comes and goes.
 */
export const derive = (nodes: readonly RoutingNode[], previous: Derived = NONE): Derived => {
  const sized = nodes.flatMap((node) => (node.memoryBytes === null ? [] : [{ nodeId: node.nodeId, bytes: node.memoryBytes }]));
  if (sized.length === 0) {
    const all = nodes.map((node) => node.nodeId);
    return { small: all, big: all };
  }
  const alwaysOn = nodes.filter((node) => node.isAlwaysOn).map((node) => node.nodeId);
  const most = Math.max(...sized.map(({ bytes }) => bytes));
  const least = Math.min(...sized.map(({ bytes }) => bytes));
  const big = keep(sized, previous.big, (bytes) => bytes * CLEARLY_MORE >= most) ?? having(sized, most);
  const smallest = keep(sized, previous.small, (bytes) => bytes <= least * CLEARLY_MORE) ?? having(sized, least);
  return { small: alwaysOn.length > 0 ? alwaysOn : smallest, big };
};

export const NONE: Derived = { small: [], big: [] };

interface Sized {
  readonly nodeId: string;
  readonly bytes: number;
}

/** Those of before that are still here, when each is still good enough; null when there are none or one is not. */
const keep = (sized: readonly Sized[], before: readonly string[], isGood: (bytes: number) => boolean): string[] | null => {
  const kept = sized.filter(({ nodeId }) => before.includes(nodeId));
  return kept.length > 0 && kept.length === before.length && kept.every(({ bytes }) => isGood(bytes))
    ? kept.map(({ nodeId }) => nodeId)
    : null;
};

const having = (sized: readonly Sized[], bytes: number): string[] =>
  sized.filter((node) => node.bytes === bytes).map(({ nodeId }) => nodeId);
