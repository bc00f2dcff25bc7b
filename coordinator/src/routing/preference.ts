import type { RoutingProvider } from './fleet-facts.ts';
import type { Step } from './route.ts';

/** What one's own machines cost per token, as far as the order of steps is concerned. */
const FREE = 0;
const UNKNOWN = Number.MAX_VALUE;

/** Rank of a step: lower is preferred. Unknown prices come last; free tiers count as free. */
export const rankOf = (prefer: 'local' | 'cheapest', providers: readonly RoutingProvider[]) => {
  return (step: Step): number => {
    if (step.kind === 'fleet') return FREE;
    if (prefer === 'local') return step.place === 'home' ? FREE : 1;
    const provider = providers.find(({ id }) => id === step.providerId);
    const model = provider?.models.find(({ id }) => id === step.model);
    if (provider?.place === 'home' || model?.isFree) return FREE;
    return model?.inputPrice == null || model.outputPrice == null ? UNKNOWN : model.inputPrice + model.outputPrice;
  };
};
