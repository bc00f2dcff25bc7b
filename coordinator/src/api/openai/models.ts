import { modelsNamed, withoutLatest } from '@lai/shared/model-name';
import { isSimulated } from '@lai/shared/node';
import type { ModelEntry, ModelList } from '@lai/shared/openai';
import type { NodeRecord } from '../../nodes/registry.ts';
import type { RoutingProvider } from '../../routing/fleet-facts.ts';

/** Every model of every connected node, once. Never waits for a node: what is known is what is listed. */
export const listModels = (nodes: readonly NodeRecord[]): ModelList => {
  const entries = new Map<string, ModelEntry>();
  for (const { liveness, snapshot } of nodes) {
    if (liveness === 'dead') continue;
    for (const model of snapshot.models) {
      if (model.capabilities.length === 0) continue;
      const id = withoutLatest(model.id);
      const known = entries.get(id);
      const context = Math.max(known?.context_length ?? 0, model.contextLength ?? 0) || null;
      entries.set(id, {
        id,
        object: 'model',
        created: known?.created ?? Math.floor(snapshot.takenAtMs / 1_000),
        owned_by: 'lai',
        name: id,
        context_length: context,
        max_context_length: context,
        max_model_len: context,
        capabilities: [...new Set([...(known?.capabilities ?? []), ...model.capabilities])],
        warm: (known?.warm ?? false) || model.state === 'warm',
        simulated: (known?.simulated ?? true) && isSimulated(snapshot, model.runtime),
        nodes: [...(known?.nodes ?? []), snapshot.name],
      });
    }
  }
  return { object: 'list', data: [...entries.values()].sort((a, b) => a.id.localeCompare(b.id)) };
};

/** Ids contain `/` and `:`; names mean what they mean in a request. */
export const findModel = (nodes: readonly NodeRecord[], id: string): ModelEntry | undefined =>
  modelsNamed(listModels(nodes).data, withoutLatest(id))[0];

/** A model that cannot think answers 400 to being told how hard. */
export const canThink = (nodes: readonly NodeRecord[], id: string | undefined): boolean =>
  id !== undefined && (findModel(nodes, id)?.capabilities.includes('thinking') ?? false);

/** Models of providers, under the names that requests call them by: `provider/model`. */
export const providerModels = (
  providers: readonly RoutingProvider[],
  mayUse: (model: string) => boolean,
  nowMs: number = Date.now(),
): ModelEntry[] =>
  providers
    .filter(({ isEnabled }) => isEnabled)
    .flatMap(({ id: provider, place, models }) =>
      models
        .filter(({ id }) => mayUse(id) || mayUse(`${provider}/${id}`))
        .map(
          (model): ModelEntry => ({
            ...{
              id: `${provider}/${model.id}`,
              object: 'model',
              created: Math.floor(nowMs / 1_000),
              owned_by: provider,
              name: model.id,
            },
            ...{
              context_length: model.contextLength,
              max_context_length: model.contextLength,
              max_model_len: model.contextLength,
            },
            ...{ capabilities: [...model.capabilities], warm: true, simulated: false, nodes: [] },
            ...{ provider, place, warmStatus: 'remote', input_price: model.inputPrice, output_price: model.outputPrice },
          }),
        ),
    );
