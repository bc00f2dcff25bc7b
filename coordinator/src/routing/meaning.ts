import { sameModel } from '@lai/shared/model-name';
import type { RoutingNode, RoutingProvider } from './fleet-facts.ts';
import { gpuNicknames } from './gpu-nicknames.ts';
import { type Derived, type Group, groupOf } from './groups.ts';
import { type AliasRule, type RoutingRules, ruleOf } from './rules.ts';
import { AUTO } from './target.ts';

/** All that routing knows of the household at one moment. */
export interface World {
  readonly rules: RoutingRules;
  readonly nodes: readonly RoutingNode[];
  readonly providers: readonly RoutingProvider[];
  readonly derived: Derived;
  /** What `auto` means in this environment; null where no environment says so. */
  readonly environmentDefault: string | null;
}

export type Meaning =
  | { readonly kind: 'auto' }
  | { readonly kind: 'alias'; readonly name: string; readonly rule: AliasRule }
  /** `small` and `big` under their other names too. */
  | { readonly kind: 'builtin'; readonly group: 'small' | 'big' }
  | { readonly kind: 'model'; readonly model: string }
  | { readonly kind: 'provider'; readonly provider: RoutingProvider; readonly model: string }
  | { readonly kind: 'group'; readonly group: Group }
  | { readonly kind: 'node'; readonly node: RoutingNode; readonly by: 'name' | 'gpu' }
  | { readonly kind: 'pinned'; readonly model: string; readonly nodes: readonly RoutingNode[]; readonly place: string }
  | { readonly kind: 'ambiguous'; readonly nodes: readonly RoutingNode[] }
  | { readonly kind: 'unknown'; readonly closest: readonly string[] };

const BUILT_IN: Readonly<Record<string, 'small' | 'big'>> = { small: 'small', fast: 'small', medium: 'big', big: 'big' };

/** What a name means, in the order of docs/routing.md. An empty name is the rules' default. */
export const meaningOf = (asked: string, world: World): Meaning => {
  const name = asked.trim() || world.rules.default;
  const rule = ruleOf(world.rules.aliases, name);
  if (rule) return { kind: 'alias', name, rule };
  const lower = name.toLowerCase();
  if (lower === AUTO) return { kind: 'auto' };
  const hasModel = (model: string) => world.nodes.some((node) => node.models.some(({ id }) => sameModel(id, model)));
  if (hasModel(name)) return { kind: 'model', model: name };
  const builtIn = BUILT_IN[lower];
  if (builtIn) return { kind: 'builtin', group: builtIn };
  return (
    providerMeaning(name, world.providers) ??
    placeMeaning(name, world) ??
    pinnedMeaning(name, world) ?? { kind: 'unknown', closest: closestNames(name, world) }
  );
};

/** `provider/model`, a provider alone, or a model that exactly one enabled provider lists. */
const providerMeaning = (name: string, providers: readonly RoutingProvider[]): Meaning | null => {
  const slash = name.indexOf('/');
  const named = byId(providers, slash === -1 ? name : name.slice(0, slash));
  const model = slash === -1 ? named?.defaultModel : name.slice(slash + 1);
  if (named && model) return { kind: 'provider', provider: named, model };
  const listing = providers.filter((provider) => provider.isEnabled && provider.models.some(({ id }) => id === name));
  const [only] = listing;
  return only && listing.length === 1 ? { kind: 'provider', provider: only, model: name } : null;
};

/** A group, a node's name, or what people call its GPU. */
const placeMeaning = (name: string, world: World): Meaning | null => {
  const group = groupOf(name, world);
  if (group) return { kind: 'group', group };
  const lower = name.toLowerCase();
  const node = world.nodes.find((candidate) => candidate.name.toLowerCase() === lower);
  if (node) return { kind: 'node', node, by: 'name' };
  const withGpu = world.nodes.filter(({ gpuNames }) => gpuNames.some((gpu) => gpuNicknames(gpu).includes(lower)));
  const [first] = withGpu;
  if (!first) return null;
  return withGpu.length === 1 ? { kind: 'node', node: first, by: 'gpu' } : { kind: 'ambiguous', nodes: withGpu };
};

/** `model@node` and `model@group`. Models whose own name holds an @ were found before. */
const pinnedMeaning = (name: string, world: World): Meaning | null => {
  const at = name.lastIndexOf('@');
  if (at <= 0) return null;
  const [model, place] = [name.slice(0, at), name.slice(at + 1)];
  const where = placeMeaning(place, world);
  if (where?.kind === 'node') return { kind: 'pinned', model, nodes: [where.node], place };
  if (where?.kind === 'group') return { kind: 'pinned', model, nodes: where.group.nodes, place };
  return where?.kind === 'ambiguous' ? where : null;
};

const byId = (providers: readonly RoutingProvider[], id: string): RoutingProvider | undefined =>
  providers.find((provider) => provider.id.toLowerCase() === id.toLowerCase());

const MOST_CLOSEST = 3;

/** Names that are spelled most like this one, nearest first. */
const closestNames = (name: string, { rules, nodes, providers }: World): string[] => {
  const known = new Set([
    ...Object.keys(rules.aliases),
    ...nodes.flatMap((node) => [node.name, ...node.models.map(({ id }) => id)]),
    ...providers.flatMap((provider) => provider.models.map(({ id }) => `${provider.id}/${id}`)),
  ]);
  const limit = Math.max(2, Math.floor(name.length / 3));
  return [...known]
    .slice(0, 1_000)
    .map((candidate) => ({
      candidate,
      distance: distanceOf(name.toLowerCase().slice(0, 64), candidate.toLowerCase().slice(0, 64)),
    }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance || a.candidate.localeCompare(b.candidate))
    .slice(0, MOST_CLOSEST)
    .map(({ candidate }) => candidate);
};

/** Levenshtein's: how many letters have to be added, dropped or changed. */
export const distanceOf = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
};
