import type { Engine } from './engine.ts';
import type { ModelEvent } from './habits.ts';
import type { HostedModel } from './hosted-model.ts';
import { can, isEmbeddingOnly } from './model-spec.ts';

/** The pages that describe models and slots, with the fields that llama-server 0.7.0 was seen to send. */

const architectureOf = (model: HostedModel): Record<string, unknown> => ({
  input_modalities: can(model.spec, 'vision') ? ['text', 'image'] : ['text'],
  output_modalities: ['text'],
});

const metaOf = (model: HostedModel): Record<string, unknown> => ({
  vocab_type: 1,
  n_vocab: 32000,
  n_ctx: model.contextLength,
  n_ctx_train: model.spec.contextLength,
  n_embd: model.spec.dimensions,
  n_params: Math.round(model.spec.sizeBytes / 0.6),
  size: model.spec.sizeBytes,
  ftype: 'Q4_K - Medium (simulated)',
});

/** The router's words for a model's state; one that is on its way out is still called loaded. */
export const statusOf = (model: HostedModel): string => {
  switch (model.phase) {
    case 'warm':
    case 'unloading':
      return 'loaded';
    case 'loading':
      return 'loading';
    case 'sleeping':
      return 'sleeping';
    default:
      return 'unloaded';
  }
};

const isUp = (model: HostedModel): boolean => ['loaded', 'sleeping'].includes(statusOf(model));

export const routerModels = (engine: Engine): Record<string, unknown> => ({
  data: engine.models
    .filter((model) => model.isPresent)
    .map((model) => ({
      id: model.spec.name,
      aliases: [],
      tags: [],
      object: 'model',
      owned_by: 'llamacpp',
      created: Math.floor(Date.now() / 1000),
      status: {
        value: statusOf(model),
        args: [
          ...['llama-server', '--alias', model.spec.name, '-np', String(model.slots)],
          ...(isEmbeddingOnly(model.spec) ? ['--embeddings'] : []),
        ],
        preset: '',
        ...(model.exitCode === 0 ? {} : { failed: true, exit_code: model.exitCode }),
      },
      architecture: architectureOf(model),
      source: 'models_dir',
      can_remove: false,
      context_length: model.spec.contextLength,
      ...(isUp(model) ? { meta: metaOf(model) } : {}),
    })),
  object: 'list',
});

export const singleModels = (model: HostedModel): Record<string, unknown> => ({
  models: [
    {
      name: model.spec.name,
      model: model.spec.name,
      modified_at: '',
      size: '',
      digest: '',
      type: 'model',
      description: '',
      tags: [''],
      capabilities: [can(model.spec, 'chat') ? 'completion' : 'embedding'],
      parameters: '',
      details: { parent_model: '', format: 'gguf', family: '', families: [''], parameter_size: '', quantization_level: '' },
    },
  ],
  object: 'list',
  data: [infoOf(model)],
});

const infoOf = (model: HostedModel): Record<string, unknown> => ({
  id: model.spec.name,
  aliases: [model.spec.name],
  tags: [],
  object: 'model',
  architecture: architectureOf(model),
  created: Math.floor(Date.now() / 1000),
  owned_by: 'llamacpp',
  meta: metaOf(model),
});

export const propsOf = (model: HostedModel): Record<string, unknown> => ({
  default_generation_settings: { params: { n_predict: -1, stream: false }, n_ctx: model.contextLength },
  total_slots: model.slots,
  model_alias: model.spec.name,
  model_path: `models/${model.spec.name}.gguf`,
  modalities: { vision: can(model.spec, 'vision'), video: false, audio: false },
  endpoint_slots: true,
  endpoint_props: true,
  endpoint_metrics: true,
  ui: false,
  chat_template: '{% for m in messages %}{{ m.content }}\n{% endfor %}',
  chat_template_caps: { supports_tools: can(model.spec, 'tools'), supports_tool_calls: can(model.spec, 'tools') },
  bos_token: '<s>',
  eos_token: '</s>',
  build_info: 'b0-lai-mock',
  is_sleeping: model.phase === 'sleeping',
});

/** Without a model's name the router describes itself [source: server-models.cpp]. */
export const routerProps = (engine: Engine): Record<string, unknown> => ({
  role: 'router',
  max_instances: engine.tuning.maxLoadedModels,
  models_autoload: true,
  model_alias: 'llama-server',
  model_path: 'none',
  default_generation_settings: { params: {}, n_ctx: 0 },
});

export const slotsOf = (model: HostedModel): Record<string, unknown>[] => {
  const busy = [...model.busy];
  return Array.from({ length: model.slots }, (_, id) => {
    const ticket = busy[id];
    const slot = { id, n_ctx: model.contextLength, speculative: false, is_processing: ticket !== undefined };
    if (!ticket) return slot;
    return {
      ...slot,
      id_task: ticket.record.id,
      n_prompt_tokens: 0,
      next_token: [{ has_next_token: true, has_new_line: false, n_remain: -1, n_decoded: ticket.record.tokens }],
    };
  });
};

export const llamaMetrics = (model: HostedModel): string => {
  const lines: [name: string, kind: string, value: number][] = [
    ['prompt_tokens_total', 'counter', model.counts.promptTokens],
    ['tokens_predicted_total', 'counter', model.counts.tokens],
    ['n_decode_total', 'counter', model.counts.tokens],
    ['predicted_tokens_seconds', 'gauge', model.spec.tps],
    ['requests_processing', 'gauge', model.busy.size],
    ['requests_deferred', 'gauge', model.waiting.length],
    ['n_busy_slots_per_decode', 'gauge', model.counts.maxBusy],
  ];
  return lines.map(([name, kind, value]) => `# TYPE llamacpp:${name} ${kind}\nllamacpp:${name} ${value}\n`).join('');
};

/** `GET /models/sse` as recorded; null for events that it does not tell. */
export const modelEvents = (event: ModelEvent): unknown[] => {
  const model = event.model.spec.name;
  const change = (data: unknown): unknown => ({ model, event: 'status_change', data });
  switch (event.kind) {
    case 'loading':
      return event.isWakeUp ? [] : [{ model, event: 'model_status', data: { status: 'loading' } }];
    case 'progress':
      return [change({ status: 'loading', progress: { stages: ['text_model'], current: 'text_model', value: event.value } })];
    case 'loaded':
      return [change(event.isWakeUp ? { status: 'loaded' } : { status: 'loaded', info: infoOf(event.model) })];
    case 'sleeping':
      return [change({ status: 'sleeping' })];
    case 'unloaded':
      return [change({ status: 'unloaded', exit_code: event.exitCode })];
  }
};
