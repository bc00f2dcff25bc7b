import { sameModel } from '@lai/shared/model-name';
import { autoOrder } from './auto.ts';
import type { RoutingNode, RoutingProvider } from './fleet-facts.ts';
import { type Group, groupOf } from './groups.ts';
import { type Meaning, meaningOf, type World } from './meaning.ts';
import type { RoutingQuestion } from './question.ts';
import { type AliasRule, type ModelRule, ruleOf } from './rules.ts';
import { AUTO } from './target.ts';

/** A step before it is known whether anything in it can do what the request needs. */
export type Draft = FleetDraft | ProviderDraft;

export interface FleetDraft {
  readonly kind: 'fleet';
  readonly name: string;
  readonly model: string;
  /** Null: every node. */
  readonly nodes: readonly RoutingNode[] | null;
  readonly overridesGaming: boolean;
}

export interface ProviderDraft {
  readonly kind: 'provider';
  readonly name: string;
  readonly provider: RoutingProvider;
  readonly model: string;
  readonly staysHome: boolean;
}

/** A way through the rules from one name. */
export interface Walk {
  readonly question: RoutingQuestion;
  readonly world: World;
  /** Names that were expanded already. Each is expanded once, so that rules in a circle end. */
  readonly seen: Set<string>;
  /** A name on the way here must not leave home. */
  readonly staysHome: boolean;
  /** The client asked for this very name, which then may force its way past gaming mode. */
  readonly isAsked: boolean;
}

export interface Expansion {
  readonly drafts: readonly Draft[];
  /** Which rule decided, in words. */
  readonly because: string;
  readonly policy: ModelRule;
}

/** Drafts of a name in a chain. One that leads nowhere, or was on the way already, has none. */
export const expandName = (name: string, walk: Walk): readonly Draft[] =>
  walk.seen.has(seenAs(name, walk)) ? [] : expand(name, meaningOf(name, walk.world), { ...walk, isAsked: false }).drafts;

const seenAs = (name: string, { staysHome }: Walk): string => `${staysHome ? 'home' : 'anywhere'} ${name.toLowerCase()}`;

export const expand = (name: string, meaning: Meaning, walk: Walk): Expansion => {
  walk.seen.add(seenAs(name || walk.world.rules.default, walk));
  const { world } = walk;
  const { isForced } = walk.question.signals;
  switch (meaning.kind) {
    case 'auto':
      return auto(walk);
    case 'alias': {
      const { rule } = meaning;
      return withChain(rule, `alias ${name}`, walk, (at) => aliasDrafts(meaning.name, rule, at));
    }
    case 'builtin': {
      const drafts = builtInDrafts(meaning.group, isForced || (walk.isAsked && name.toLowerCase() === 'big'), walk);
      return { drafts, because: `group ${meaning.group}`, policy: {} };
    }
    case 'model': {
      const rule = ruleOf(world.rules.models, meaning.model) ?? {};
      return withChain(rule, `model ${meaning.model}`, walk, () => [
        { kind: 'fleet', name: meaning.model, model: meaning.model, nodes: null, overridesGaming: isForced },
      ]);
    }
    case 'provider': {
      const { provider, model } = meaning;
      const rule = ruleOf(world.rules.models, `${provider.id}/${model}`) ?? {};
      return withChain(rule, `provider ${provider.id}`, walk, (at) => [providerDraft(provider, model, at)]);
    }
    case 'group':
      return { drafts: groupDrafts(meaning.group, isForced, walk), because: `group ${meaning.group.name}`, policy: {} };
    case 'node':
      return nodeExpansion(name, meaning.node, meaning.by, walk);
    case 'pinned': {
      const { model, place, nodes } = meaning;
      const drafts: Draft[] = [{ kind: 'fleet', name: place, model, nodes, overridesGaming: isForced }];
      return { drafts, because: `${model} at ${place}`, policy: {} };
    }
    case 'ambiguous':
    case 'unknown':
      return { drafts: [], because: `${name} is not known`, policy: {} };
  }
};

/** A name with a rule of its own: what it means, then its fallbacks. */
const withChain = (rule: ModelRule, because: string, walk: Walk, draftsAt: (walk: Walk) => readonly Draft[]): Expansion => {
  const at = rule.home === 'only' ? { ...walk, staysHome: true } : walk;
  return { drafts: [...draftsAt(at), ...(rule.fallback ?? []).flatMap((next) => expandName(next, at))], because, policy: rule };
};

const aliasDrafts = (name: string, rule: AliasRule, walk: Walk): readonly Draft[] => {
  const { nodes, providers } = walk.world;
  const overridesGaming = walk.question.signals.isForced;
  if (rule.provider !== undefined) {
    const provider = named(providers, rule.provider, ({ id }) => id);
    const model = rule.model ?? provider?.defaultModel;
    return provider && model ? [providerDraft(provider, model, walk)] : [];
  }
  if (rule.group !== undefined) {
    const group = groupOf(rule.group, walk.world);
    return group ? groupDrafts(group, overridesGaming, walk) : [];
  }
  if (rule.node !== undefined) {
    const node = named(nodes, rule.node, (candidate) => candidate.name);
    return node ? [{ kind: 'fleet', name: node.name, model: AUTO, nodes: [node], overridesGaming }] : [];
  }
  // An alias may be called like the model that it leads to.
  const isItself = (model: string) =>
    model.toLowerCase() === name.toLowerCase() && nodes.some((node) => node.models.some(({ id }) => sameModel(id, model)));
  return (rule.models ?? [rule.model ?? AUTO]).flatMap((model): readonly Draft[] =>
    isItself(model) ? [{ kind: 'fleet', name: model, model, nodes: null, overridesGaming }] : expandName(model, walk),
  );
};

/** A node of `big` that is asked for by its own name is forced, and `small` answers where its owner refuses that. */
const nodeExpansion = (name: string, node: RoutingNode, by: 'name' | 'gpu', walk: Walk): Expansion => {
  const isBig = groupOf('big', walk.world)?.nodes.some(({ nodeId }) => nodeId === node.nodeId) === true;
  const overridesGaming = (isBig && walk.isAsked) || walk.question.signals.isForced;
  const own: Draft = { kind: 'fleet', name: node.name, model: AUTO, nodes: [node], overridesGaming };
  return {
    drafts: [own, ...(isBig ? builtInDrafts('small', false, walk) : [])],
    because: by === 'gpu' ? `GPU ${name} of ${node.name}` : `node ${node.name}`,
    policy: {},
  };
};

/** `big` leads on to `small` when nothing of it can serve; `small` leads nowhere. */
const builtInDrafts = (group: 'small' | 'big', overridesGaming: boolean, walk: Walk): readonly Draft[] => {
  const draftsOf = (name: 'small' | 'big', overrides: boolean) => {
    const found = groupOf(name, walk.world);
    return found ? groupDrafts(found, overrides, walk) : [];
  };
  return group === 'small' ? draftsOf('small', false) : [...draftsOf('big', overridesGaming), ...draftsOf('small', false)];
};

/** Nodes of a group are one step, since the scheduler chooses among them; each of its providers is a step of its own. */
const groupDrafts = ({ name, nodes, providers }: Group, overridesGaming: boolean, walk: Walk): readonly Draft[] => [
  ...(nodes.length > 0 ? [{ kind: 'fleet' as const, name, model: AUTO, nodes, overridesGaming }] : []),
  ...providers.flatMap((provider) =>
    provider.defaultModel === null ? [] : [providerDraft(provider, provider.defaultModel, walk)],
  ),
];

const providerDraft = (provider: RoutingProvider, model: string, { staysHome }: Walk): ProviderDraft => ({
  kind: 'provider',
  name: provider.id,
  provider,
  model,
  staysHome,
});

/** The caller's own choice, then the environment's, then the household's rules. */
const auto = (walk: Walk): Expansion => {
  const { world, question } = walk;
  const own = question.caller.defaultProvider;
  const provider = own && named(world.providers, own.providerId, ({ id }) => id);
  const model = own?.model ?? provider?.defaultModel;
  if (provider && model)
    return {
      drafts: [providerDraft(provider, model, walk)],
      because: `auto: ${provider.id}, the caller's own choice`,
      policy: {},
    };
  const { environmentDefault } = world;
  const ofEnvironment = environmentDefault === null ? [] : expandName(environmentDefault, walk);
  if (ofEnvironment.length > 0)
    return { drafts: ofEnvironment, because: `auto: ${environmentDefault}, the default of this environment`, policy: {} };
  const { order, because, overridesGaming } = autoOrder(question, world);
  const drafts = order.flatMap((name) => {
    const group = groupOf(name, world);
    if (group) return groupDrafts(group, overridesGaming && name === 'big', walk);
    const alone = named(world.providers, name, ({ id }) => id);
    return alone?.defaultModel ? [providerDraft(alone, alone.defaultModel, walk)] : [];
  });
  // Nodes outside all groups, and, at the end of a route, whichever node is free first.
  const anywhere: Draft = { kind: 'fleet', name: 'anywhere', model: AUTO, nodes: null, overridesGaming: false };
  return { drafts: [...drafts, anywhere], because: `auto: ${because}`, policy: {} };
};

const named = <T>(entries: readonly T[], name: string, nameOf: (entry: T) => string): T | undefined =>
  entries.find((entry) => nameOf(entry).toLowerCase() === name.toLowerCase());
