import { namedBy, sameModel } from '@lai/shared/model-name';
import { type Draft, expand, expandName, type FleetDraft } from './drafts.ts';
import type { RoutingModel } from './fleet-facts.ts';
import { meaningOf, type World } from './meaning.ts';
import { rankOf } from './preference.ts';
import type { RoutingQuestion } from './question.ts';
import type { Needs, Route, SkippedStep, SkipReason, Step } from './route.ts';
import type { Preference } from './rules.ts';
import { permitFor } from './stays-home.ts';
import { AUTO } from './target.ts';

export type Resolution =
  | { readonly kind: 'route'; readonly route: Route }
  | { readonly kind: 'unknown'; readonly asked: string; readonly closest: readonly string[] }
  | { readonly kind: 'ambiguous'; readonly asked: string; readonly nodes: readonly string[] };

const MOST_STEPS = 5;

/**
 * Where a request may be answered, in order, and why not elsewhere. Pure: the same question about the same world has the same answer.
 * `unknown` and `ambiguous` are answers to the name the client asked for; names in chains that lead nowhere are skipped.
 */
export const resolve = (question: RoutingQuestion, world: World): Resolution => {
  const [first, ...others] =
    question.signals.models.length > 0
      ? [...new Set([...(question.asked ? [question.asked] : []), ...question.signals.models])]
      : [question.asked];
  const asked = first ?? '';
  const meaning = meaningOf(asked, world);
  if (meaning.kind === 'unknown') return { kind: 'unknown', asked, closest: meaning.closest };
  if (meaning.kind === 'ambiguous') return { kind: 'ambiguous', asked, nodes: meaning.nodes.map((node) => node.name) };
  const staysHome = question.signals.staysHome || question.caller.staysHome || world.rules.home === 'only';
  const walk = { question, world, seen: new Set<string>(), staysHome, isAsked: true };
  const expansion = expand(asked, meaning, walk);
  const inChain = { ...walk, staysHome: staysHome || expansion.policy.home === 'only' };
  const chained = others.flatMap((name) => expandName(name, inChain));
  const { steps, skipped } = admit([...expansion.drafts, ...chained], question, world);
  const prefer = question.signals.prefer ?? expansion.policy.prefer ?? question.caller.prefer ?? world.rules.prefer ?? null;
  const spill = expansion.policy.spillAfterMs ?? world.rules.spillAfterMs;
  return {
    kind: 'route',
    route: {
      asked: asked || world.rules.default,
      because: expansion.because,
      steps: prefer === null ? steps : inOrder(steps, prefer, world),
      skipped,
      spillAfterMs: spill === 'never' ? null : spill,
      staysHome: inChain.staysHome,
    },
  };
};

const admit = (drafts: readonly Draft[], question: RoutingQuestion, world: World): { steps: Step[]; skipped: SkippedStep[] } => {
  const steps: Step[] = [];
  const skipped: SkippedStep[] = [];
  const seen = new Set<string>();
  for (const draft of drafts) {
    const identity = identityOf(draft, world);
    if (seen.has(identity)) continue;
    seen.add(identity);
    const refusal = draft.kind === 'fleet' ? refuseFleet(draft, question, world) : refuseProvider(draft, question);
    if (refusal) skipped.push({ name: draft.name, ...refusal });
    else if (steps.length >= MOST_STEPS)
      skipped.push({ name: draft.name, reason: 'too_many_steps', detail: `a route has at most ${MOST_STEPS} steps` });
    else steps.push(stepOf(draft, question));
  }
  return { steps, skipped };
};

const stepOf = (draft: Draft, { needs }: RoutingQuestion): Step => {
  if (draft.kind === 'fleet') {
    const { name, model, nodes, overridesGaming } = draft;
    return {
      kind: 'fleet',
      name,
      target: {
        ...needs.target,
        model,
        ...(nodes ? { nodes: nodes.map(({ nodeId }) => nodeId).sort() } : {}),
        ...(overridesGaming ? { overridesGaming: true as const } : {}),
      },
    };
  }
  const { provider, model, name } = draft;
  const permit = permitFor(provider.place, draft.staysHome);
  if (permit === null) throw new Error('a provider step without a permit was not refused');
  return { kind: 'provider', name, providerId: provider.id, model, place: provider.place, permit };
};

/** Two drafts that lead to the same place are one. The first of them overrides gaming mode if any of them does. */
const identityOf = (draft: Draft, { nodes }: World): string => {
  if (draft.kind === 'provider') return JSON.stringify(['provider', draft.provider.id, draft.model]);
  const ids = draft.nodes?.map(({ nodeId }) => nodeId).sort() ?? null;
  const isEverywhere = ids === null || ids.length === nodes.length;
  return JSON.stringify(['fleet', draft.model.toLowerCase(), isEverywhere ? null : ids]);
};

type Refused = { readonly reason: SkipReason; readonly detail: string } | null;

const refuseFleet = (draft: FleetDraft, { needs, caller }: RoutingQuestion, { nodes }: World): Refused => {
  const { model, nodes: places } = draft;
  if (model !== AUTO && !caller.mayUse(model))
    return { reason: 'model_not_allowed', detail: `${model} is not among the models of this key` };
  const { models: patterns } = needs.target;
  const isMeant = ({ id }: RoutingModel) =>
    model === AUTO ? patterns === undefined || namedBy(patterns, id) : sameModel(id, model);
  let refused: Refused = {
    reason: 'no_model',
    detail: model === AUTO ? 'has no models for this request' : `does not have ${model}`,
  };
  for (const node of places ?? nodes) {
    for (const candidate of node.models) {
      if (!isMeant(candidate)) continue;
      const why = refuseModel(candidate, needs);
      if (why === null) return null;
      // A context that is too short is the nearer miss.
      if (refused.reason !== 'context_too_short') refused = why;
    }
  }
  return refused;
};

const refuseProvider = (draft: Extract<Draft, { kind: 'provider' }>, { needs, caller }: RoutingQuestion): Refused => {
  const { provider, model, staysHome } = draft;
  if (staysHome && provider.place === 'cloud') return { reason: 'stays_home', detail: 'this request must not leave home' };
  if (!provider.isEnabled) return { reason: 'provider_disabled', detail: `${provider.id} is disabled` };
  if (!caller.mayUse(model) && !caller.mayUse(`${provider.id}/${model}`))
    return { reason: 'model_not_allowed', detail: `${model} is not among the models of this key` };
  const facts = provider.models.find(({ id }) => id === model);
  return facts ? refuseModel(facts, needs) : null;
};

const refuseModel = (model: RoutingModel, { target: { capabilities, contextTokens } }: Needs): Refused => {
  const lacking = capabilities.filter((capability) => !model.capabilities.includes(capability));
  if (lacking.length > 0) return { reason: 'capability_missing', detail: `cannot do ${lacking.join(', ')}` };
  return model.contextLength === null || model.contextLength >= contextTokens
    ? null
    : { reason: 'context_too_short', detail: `about ${contextTokens} tokens of context are needed` };
};

/** Steps by what is preferred; those of equal rank stay as written. */
const inOrder = (steps: readonly Step[], prefer: Preference, world: World): readonly Step[] => {
  if (prefer === 'quality') return steps;
  const rank = rankOf(prefer, world.providers);
  return steps.toSorted((a, b) => rank(a) - rank(b));
};
