import { groupOf } from './groups.ts';
import type { World } from './meaning.ts';
import type { RoutingQuestion } from './question.ts';

type GroupName = 'small' | 'big' | 'long';

/** The household's rules by size, complexity and gaming mode: which groups may answer `auto`, in order. */
export const autoOrder = (
  { needs, signals }: RoutingQuestion,
  world: World,
): { readonly order: readonly GroupName[]; readonly because: string; readonly overridesGaming: boolean } => {
  const { smallTokens, mediumTokens } = world.rules.thresholds;
  const tokens = `${needs.estimatedTokens.toLocaleString('en-US')} tokens`;
  const big = groupOf('big', world);
  const members = [...(big?.nodes ?? []).filter((node) => node.isConnected), ...(big?.providers ?? [])];
  if (signals.isForced) return { order: ['big', 'small'], because: 'forced big', overridesGaming: true };
  if (members.length > 0 && members.every((member) => member.isGaming))
    return { order: ['small', 'long'], because: 'gaming mode is on', overridesGaming: false };
  if (signals.isComplex) return { order: ['long', 'big', 'small'], because: 'complex', overridesGaming: false };
  if (needs.estimatedTokens > mediumTokens) return { order: ['long', 'big', 'small'], because: tokens, overridesGaming: false };
  const isBigReady =
    (big?.nodes ?? []).some((node) => node.isConnected && !node.isHeld) ||
    (big?.providers ?? []).some((provider) => provider.isEnabled && !provider.isGaming);
  if (needs.estimatedTokens >= smallTokens && isBigReady)
    return { order: ['big', 'small', 'long'], because: tokens, overridesGaming: false };
  return { order: ['small', 'big', 'long'], because: tokens, overridesGaming: false };
};
