import type { NodeSnapshot } from '@lai/shared/node';
import type { ProviderPlace } from './route.ts';

/** What routing reads of a node: plain data, taken at one moment. */
export interface RoutingNode {
  readonly nodeId: string;
  readonly name: string;
  /** The group that an operator put it in; null for none. */
  readonly group: string | null;
  readonly isConnected: boolean;
  /** All of its answers are made up. */
  readonly isSimulated: boolean;
  /** Takes no work now, whatever the reason. */
  readonly isHeld: boolean;
  readonly isGaming: boolean;
  /** Its owner never gives the GPU to a game: gaming mode is off, for good. */
  readonly isAlwaysOn: boolean;
  /** Accelerator memory, or main memory on a node without an accelerator; null when not known. */
  readonly memoryBytes: number | null;
  readonly gpuNames: readonly string[];
  readonly models: readonly RoutingModel[];
}

export interface RoutingModel {
  readonly id: string;
  readonly capabilities: readonly string[];
  /** Null when not known; an unknown length refuses nothing. */
  readonly contextLength: number | null;
}

/** What routing reads of a provider. */
export interface RoutingProvider {
  readonly id: string;
  readonly place: ProviderPlace;
  readonly isEnabled: boolean;
  /** Provider of a home without an agent whose own gaming mode is on. */
  readonly isGaming: boolean;
  /** The model that a name means which says only the provider's; null when it lists none. */
  readonly defaultModel: string | null;
  readonly models: readonly ProviderModel[];
}

export interface ProviderModel extends RoutingModel {
  /** Money per million tokens; null when not known. */
  readonly inputPrice: number | null;
  readonly outputPrice: number | null;
  readonly isFree: boolean;
}

/** Facts of a node for routing. `group` is the operator's; a node that was put in none is in `default`, which means nothing here. */
export const routingNode = (node: {
  readonly nodeId: string;
  readonly name: string;
  readonly group: string | null;
  readonly isConnected: boolean;
  readonly snapshot: NodeSnapshot;
}): RoutingNode => {
  const { snapshot } = node;
  const sizes = snapshot.gpus.map((gpu) => gpu.vramTotalBytes);
  const isKnown = sizes.every((size) => size !== null);
  return {
    nodeId: node.nodeId,
    name: node.name,
    group: node.group === 'default' ? null : node.group,
    isConnected: node.isConnected,
    isSimulated: snapshot.runtimes.length > 0 && snapshot.runtimes.every((runtime) => runtime.isSimulated),
    isHeld: snapshot.holds.length > 0,
    isGaming: snapshot.gaming?.isActive ?? snapshot.holds.some((hold) => hold.kind === 'gaming'),
    isAlwaysOn: snapshot.gaming?.mode === 'off' && snapshot.gaming.untilMs === null,
    memoryBytes: sizes.length === 0 ? snapshot.memory.totalBytes : isKnown ? sum(sizes) : null,
    gpuNames: snapshot.gpus.map((gpu) => gpu.name),
    models: snapshot.models.map(({ id, capabilities, contextLength }) => ({ id, capabilities, contextLength })),
  };
};

const sum = (sizes: readonly (number | null)[]): number => sizes.reduce<number>((total, size) => total + (size ?? 0), 0);
