import type { Capability } from '@lai/shared/node';
import type { RoutingNode, RoutingProvider } from './fleet-facts.ts';
import { derive } from './groups.ts';
import type { World } from './meaning.ts';
import type { RoutingQuestion } from './question.ts';
import { RoutingRules } from './rules.ts';

const GB = 1e9;

/** A household for tests: an always-on RTX 3070, a gaming PC with an RTX 3090, and OpenCode as `long`. */
export const trialNode = (change: Partial<RoutingNode> & Pick<RoutingNode, 'name'>): RoutingNode => ({
  nodeId: `id-${change.name}`,
  group: null,
  isConnected: true,
  isSimulated: false,
  isHeld: change.isGaming ?? false,
  isGaming: false,
  isAlwaysOn: false,
  memoryBytes: 8 * GB,
  gpuNames: [],
  models: [{ id: 'qwen3:8b', capabilities: ['chat', 'completion', 'tools'], contextLength: 32_768 }],
  ...change,
});

export const trialProvider = (change: Partial<RoutingProvider> & Pick<RoutingProvider, 'id'>): RoutingProvider => ({
  place: 'cloud',
  isEnabled: true,
  isGaming: false,
  defaultModel: 'glm-4.7',
  models: [
    { id: 'glm-4.7', capabilities: ['chat', 'tools'], contextLength: 200_000, inputPrice: 1, outputPrice: 3, isFree: false },
  ],
  ...change,
});

export const small = trialNode({ name: 'linux-3070', gpuNames: ['NVIDIA GeForce RTX 3070'] });
export const big = (change: Partial<RoutingNode> = {}): RoutingNode =>
  trialNode({ name: 'windows-rtx', gpuNames: ['NVIDIA GeForce RTX 3090'], memoryBytes: 24 * GB, ...change });
export const opencode = trialProvider({ id: 'opencode' });

export const trialWorld = ({
  nodes = [small, big()],
  providers = [opencode],
  rules = {},
  environmentDefault = null,
}: {
  nodes?: readonly RoutingNode[];
  providers?: readonly RoutingProvider[];
  rules?: unknown;
  environmentDefault?: string | null;
} = {}): World => ({ nodes, providers, rules: RoutingRules.parse(rules), derived: derive(nodes), environmentDefault });

export interface Asked {
  readonly model?: string;
  readonly tokens?: number;
  readonly capabilities?: readonly Capability[];
  readonly contextTokens?: number;
  readonly signals?: Partial<RoutingQuestion['signals']>;
  readonly caller?: Partial<RoutingQuestion['caller']>;
}

export const asking = ({ model = 'auto', tokens = 500, capabilities = ['chat'], contextTokens = 0, signals, caller }: Asked) => ({
  asked: model,
  needs: { target: { capabilities, contextTokens }, estimatedTokens: tokens },
  signals: { isForced: false, isComplex: false, staysHome: false, prefer: null, models: [], ...signals },
  caller: { staysHome: false, prefer: null, defaultProvider: null, mayUse: () => true, ...caller },
});
