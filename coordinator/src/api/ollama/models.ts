import { createHash } from 'node:crypto';
import { modelsNamed, withoutLatest } from '@lai/shared/model-name';
import type { LoadedModel } from '@lai/shared/node';
import type { OllamaTag } from '@lai/shared/ollama';
import type { NodeRecord } from '../../nodes/registry.ts';

/** The Ollama whose API this is; programs refuse to work with one that is older than what they need. */
export const OLLAMA_VERSION = '0.32.15';

interface FleetModel {
  readonly id: string;
  readonly seenAtMs: number;
  readonly copies: readonly LoadedModel[];
}

/** Ollama's words for what a model can do. */
const CAPABILITIES: Readonly<Record<string, string>> = {
  chat: 'completion',
  completion: 'completion',
  tools: 'tools',
  vision: 'vision',
  embedding: 'embedding',
  thinking: 'thinking',
  audio: 'audio',
};

/** A model that stays is said to expire then, as Ollama says it. */
const NEVER_MS = 100 * 365 * 86_400_000;

/** `GET /api/tags`: every model of every connected node, once. */
export const tags = (nodes: readonly NodeRecord[]): { models: OllamaTag[] } => ({ models: fleetModels(nodes).map(tagOf) });

/** `GET /api/ps`: those of them that are in some node's memory. */
export const running = (nodes: readonly NodeRecord[], nowMs: number) => ({
  models: fleetModels(nodes).flatMap((model) => {
    const warm = model.copies.filter(({ state }) => state === 'warm' || state === 'draining');
    const first = warm[0];
    if (!first) return [];
    const { name, model: id, digest, details, size } = tagOf(model);
    const expiresAtMs = Math.max(...warm.map((copy) => copy.expiresAtMs ?? nowMs + NEVER_MS));
    return [
      {
        ...{ name, model: id, size, digest, details },
        expires_at: new Date(expiresAtMs).toISOString(),
        size_vram: Math.round(first.vramBytes ?? size),
        context_length: largest(warm.map((copy) => copy.contextLength)),
      },
    ];
  }),
});

/** `POST /api/show`; undefined for a model that no node has. */
export const show = (nodes: readonly NodeRecord[], name: string) => {
  const [model] = modelsNamed(fleetModels(nodes), withoutLatest(name));
  if (!model) return undefined;
  const { details, capabilities, modified_at } = tagOf(model);
  return {
    modelfile: '',
    parameters: '',
    template: '',
    license: '',
    details,
    model_info: {
      'general.architecture': details.family,
      [`${details.family}.context_length`]: largest(model.copies.map((copy) => copy.contextLength)),
    },
    capabilities,
    modified_at,
  };
};

const fleetModels = (nodes: readonly NodeRecord[]): FleetModel[] => {
  const models = new Map<string, { id: string; seenAtMs: number; copies: LoadedModel[] }>();
  for (const { liveness, snapshot } of nodes) {
    if (liveness === 'dead') continue;
    for (const copy of snapshot.models) {
      if (copy.capabilities.length === 0) continue;
      const id = withoutLatest(copy.id);
      const known = models.get(id) ?? { id, seenAtMs: snapshot.takenAtMs, copies: [] };
      known.copies.push(copy);
      models.set(id, known);
    }
  }
  return [...models.values()].sort((a, b) => a.id.localeCompare(b.id));
};

const tagOf = ({ id, seenAtMs, copies }: FleetModel): OllamaTag => {
  // Programs ask for what they were shown, and Ollama shows the tag.
  const name = id.includes(':') ? id : `${id}:latest`;
  const family = /^[a-z]+/i.exec(id.split('/').at(-1) ?? '')?.[0]?.toLowerCase() ?? 'unknown';
  return {
    name,
    model: name,
    modified_at: new Date(seenAtMs).toISOString(),
    size: Math.round(largest(copies.map((copy) => copy.sizeBytes))),
    // Nodes do not tell theirs; programs cut off the first twelve characters, so there must be enough of them.
    digest: createHash('sha256').update(name).digest('hex'),
    details: {
      parent_model: '',
      format: 'gguf',
      family,
      families: [family],
      parameter_size: (/(?:^|[:_-])(\d+(?:\.\d+)?[bm])(?:$|[-_.])/i.exec(id)?.[1] ?? '').toUpperCase(),
      quantization_level: (/q\d(?:_[a-z0-9]+)*|f16|bf16|f32/i.exec(id)?.[0] ?? '').toUpperCase(),
    },
    capabilities: [...new Set(copies.flatMap((copy) => copy.capabilities).flatMap((word) => CAPABILITIES[word] ?? []))],
  };
};

const largest = (values: readonly (number | null)[]): number =>
  values.reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
