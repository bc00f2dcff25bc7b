import type { NodeSnapshot } from '@lai/shared/node';
import { type RoutingNode, type RoutingProvider, routingNode } from './fleet-facts.ts';
import { derive, NONE } from './groups.ts';
import type { World } from './meaning.ts';
import type { RoutingRules } from './rules.ts';

interface KnownNode {
  readonly nodeId: string;
  readonly liveness: 'alive' | 'suspect' | 'dead';
  readonly snapshot: NodeSnapshot;
}

export interface HouseholdOptions {
  readonly nodes: () => readonly KnownNode[];
  /** Groups that operators put nodes in, by node id. */
  readonly groups: () => ReadonlyMap<string, string>;
  readonly rules: () => RoutingRules;
  readonly providers: () => readonly RoutingProvider[];
  /** Name of the environment (`LAI_ENV`); null where there is none. */
  readonly environment: string | null;
}

/** What routing knows at this moment. Single writer of the derived groups; all else is read from where it is kept. */
export class Household {
  readonly #options: HouseholdOptions;
  /** Facts of a snapshot are read once: snapshots change about once a second, requests are many. */
  readonly #facts = new WeakMap<NodeSnapshot, RoutingNode>();
  #derived = NONE;

  constructor(options: HouseholdOptions) {
    this.#options = options;
  }

  world(): World {
    const { nodes, groups, rules, providers, environment } = this.#options;
    const given = groups();
    const known = nodes().map((node) => this.#factsOf(node, given.get(node.nodeId) ?? null));
    const real = known.filter((node) => !node.isSimulated);
    // A simulated machine is no place to send anybody while there is a real one.
    const counted = real.length > 0 ? real : known;
    this.#derived = derive(counted, this.#derived);
    const environmentDefault = environment === null ? null : (rules().environments[environment] ?? null);
    return { rules: rules(), nodes: counted, providers: providers(), derived: this.#derived, environmentDefault };
  }

  #factsOf({ nodeId, liveness, snapshot }: KnownNode, group: string | null): RoutingNode {
    const isConnected = liveness !== 'dead';
    const known = this.#facts.get(snapshot);
    if (known && known.isConnected === isConnected && known.group === (group === 'default' ? null : group)) return known;
    const facts = routingNode({ nodeId, name: snapshot.name, group, isConnected, snapshot });
    this.#facts.set(snapshot, facts);
    return facts;
  }
}
