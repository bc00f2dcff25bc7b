import fc from 'fast-check';
import { TrialAttempt } from '../../agent/src/attempts/trial-attempt.ts';
import { Models } from '../../agent/src/models/models.ts';
import { isName } from '../../agent/src/runtimes/engine-values.ts';
import { LlamaServer } from '../../agent/src/runtimes/llama-server.ts';
import { LmStudio } from '../../agent/src/runtimes/lmstudio.ts';
import { MlxServer } from '../../agent/src/runtimes/mlx.ts';
import { Ollama } from '../../agent/src/runtimes/ollama.ts';
import { type Runtime, RuntimeError } from '../../agent/src/runtimes/runtime.ts';
import { type ScriptedEngine, startScriptedEngine } from '../../agent/src/runtimes/scripted-engine.ts';
import { Vllm } from '../../agent/src/runtimes/vllm.ts';
import { takeSnapshot } from '../../agent/src/snapshot.ts';
import { decodeAgentMessage, encodeMessage } from '../../shared/src/protocol/codec.ts';
import { campaign } from './campaign.ts';

type Json = Record<string, unknown>;

/** One engine of which one entry stands for all: the fields that it fills, as recorded from the real ones. */
interface Template {
  readonly make: (url: string) => Runtime;
  /** The list that is drawn: of so many entries, by path. */
  readonly pages: (entry: (facts: Json) => Json[]) => Record<string, unknown>;
}

const TEMPLATES: Readonly<Record<string, Template>> = {
  'ollama tags': {
    make: (url) => new Ollama({ url }),
    pages: (entries) => ({
      '/api/version': { version: '0.32.15' },
      '/api/tags': {
        models: entries({
          ...{ name: '', digest: 'd', size: 2e9, capabilities: ['completion', 'tools'], remote_host: '' },
          details: { family: 'llama', families: ['llama'], context_length: 4_096 },
        }),
      },
      '/api/ps': { models: [] },
      '/api/show': SHOWN,
    }),
  },
  'ollama ps': {
    make: (url) => new Ollama({ url }),
    pages: (entries) => ({
      '/api/version': { version: '0.32.15' },
      '/api/tags': { models: [] },
      '/api/ps': {
        models: entries({ name: '', digest: null, size_vram: 3e9, context_length: 4_096, expires_at: '2026-11-29T23:59:00Z' }),
      },
    }),
  },
  'llama-server': {
    make: (url) => new LlamaServer({ url }),
    pages: (entries) => ({
      '/props': { build_info: 'b1', total_slots: 1 },
      '/models': {
        data: entries({
          id: '',
          status: {
            value: 'unloaded',
            failed: false,
            exit_code: 0,
            args: ['llama-server', '--parallel', '2', '--ctx-size', '4096'],
          },
          architecture: { input_modalities: ['text', 'image'] },
          context_length: 4_096,
          meta: { n_ctx: 2_048, n_ctx_train: 4_096, size: 2e9 },
        }),
      },
    }),
  },
  'LM Studio': {
    make: (url) => new LmStudio({ url }),
    pages: (entries) => ({
      '/api/v1/models': {
        models: entries({
          ...{ type: 'llm', key: '', size_bytes: 2e9, max_context_length: 4_096 },
          loaded_instances: [{ id: 'i', config: { context_length: 2_048, parallel: 4 } }],
          capabilities: { vision: true, trained_for_tool_use: false },
        }),
      },
    }),
  },
  vLLM: {
    make: (url) => new Vllm({ url }),
    pages: (entries) => ({
      '/health': '',
      '/version': { version: '0.32.0' },
      '/v1/models': { data: entries({ id: '', max_model_len: 4_096, parent: null }) },
    }),
  },
  mlx: {
    make: (url) => new MlxServer({ url }),
    pages: (entries) => ({ '/v1/models': { data: entries({ id: '', object: 'model', created: 1 }) } }),
  },
};

const SHOWN = {
  capabilities: ['completion'],
  parameters: 'num_ctx 4096\nnum_gpu 0',
  model_info: {
    'general.architecture': 'llama',
    'llama.context_length': 4_096,
    'llama.block_count': 2,
    'llama.embedding_length': 64,
  },
};

const odd = fc.oneof(
  fc.constantFrom<unknown>(
    0,
    -0,
    -1,
    1.5,
    2 ** 53,
    2 ** 60,
    1e300,
    null,
    '',
    ' ',
    '0',
    'NaN',
    true,
    false,
    [],
    {},
    [null],
    [[]],
    '\u0000',
  ),
  fc.constantFrom<unknown>('\ud800', '\u001b[2J', 'x'.repeat(600), undefined, '__proto__', { __proto__: null }, '-1', '1e999'),
  fc.jsonValue({ maxDepth: 2 }),
);

/** What is put where: a field of an entry by its place among all of them, and the value that stands there. */
interface Change {
  readonly at: number;
  readonly value: unknown;
}

const CHANGES = 40;
const change: fc.Arbitrary<Change> = fc.record({ at: fc.nat(999), value: odd });

const drawn = fc.record({
  engine: fc.constantFrom(...Object.keys(TEMPLATES)),
  changes: fc.array(change, { minLength: CHANGES, maxLength: CHANGES }),
  usage: fc.record({ prompt_tokens: odd, completion_tokens: odd, cached_tokens: odd }),
  reading: odd,
});
type Drawn = typeof drawn extends fc.Arbitrary<infer T> ? T : never;

/** Every path into a value, the root and what it holds included. */
const pathsOf = (value: unknown, path: readonly string[] = []): string[][] => [
  [...path],
  ...(typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, [...path, key]))
    : []),
];

const withValue = (entry: unknown, [key, ...rest]: readonly string[], value: unknown): unknown => {
  if (key === undefined) return value;
  const copy = structuredClone(entry) as Json;
  copy[key] = withValue(copy[key], rest, value);
  return copy;
};

/** The engine's own word for its entries' names, in each of the lists. */
const NAMES = ['name', 'id', 'key'];
const named = (facts: Json, name: string): Json => {
  const field = NAMES.find((each) => facts[each] === '') ?? 'name';
  const own = 'digest' in facts && facts['digest'] !== null ? { digest: `digest of ${name}` } : {};
  return { ...facts, ...own, [field]: name };
};

const silent = () => {};
const log = { info: silent, warn: silent, error: silent, debug: silent } as unknown as ConstructorParameters<
  typeof Models
>[0]['log'];
const GOOD = 'good-model';

/** Whatever single values an engine gives, what stands beside them is shown, and what is shown can be told. */
const listsAll = async (engine: ScriptedEngine, pages: Record<string, unknown>, { engine: name, changes, reading }: Drawn) => {
  const template = TEMPLATES[name];
  if (!template) throw new Error(`no engine ${name}`);
  let drawnEntries: readonly unknown[] = [];
  const entries = (facts: Json): Json[] => {
    const whole = named(facts, 'odd');
    const paths = pathsOf(whole);
    const spoilt = changes.map(({ at, value }, index) => {
      const path = paths[at % paths.length] ?? [];
      return withValue(named(facts, `odd-${index}`), path, value) as Json;
    });
    drawnEntries = spoilt;
    return [...spoilt.slice(0, CHANGES / 2), named(facts, GOOD), ...spoilt.slice(CHANGES / 2), named(facts, `${GOOD}-2`)];
  };
  Object.assign(pages, template.pages(entries));
  const runtime = template.make(engine.url);
  const models = new Models({ maxConcurrent: 4, onChange: () => {}, log });
  models.observe(runtime, await runtime.listModels(AbortSignal.timeout(20_000)));
  const snapshot = takeSnapshot({ ...PARTS, runtimes: [runtime.report()], models: models.report() });
  const ids = snapshot.models.map(({ id }) => id);
  if (!ids.includes(GOOD) || !ids.includes(`${GOOD}-2`)) throw new Error(`a neighbour is hidden; shown: ${ids.join()}`);
  if (snapshot.troubles) throw new Error(`the runtime let through: ${snapshot.troubles.join()}`);
  const isNamed = (entry: unknown) => NAMES.some((field) => isName(Object(entry)[field]));
  if (runtime.report().detail === null && !drawnEntries.every(isNamed)) throw new Error('an entry was left out in silence');
  canBeTold(snapshot);
  const [first] = snapshot.models;
  const strange = { ...first, id: 'strange', vramBytes: reading, expiresAtMs: reading } as never;
  canBeTold(takeSnapshot({ ...PARTS, runtimes: [runtime.report()], models: [strange, ...snapshot.models] }));
};

const PARTS = {
  ...{ name: 'n', sequence: 1, takenAtMs: 1, agentVersion: '1', os: { platform: 'p', release: 'r', arch: 'a' } },
  ...{ memory: { totalBytes: 8, freeBytes: 4 }, modelDiskFreeBytes: null, gpus: [], holds: [], preemption: null },
  gaming: { mode: 'auto', setBy: 'default', untilMs: null, isActive: false, cause: null, allowsForced: true },
  ...{ maxConcurrent: 4, inFlight: 0 },
} as const;

const canBeTold = (snapshot: ReturnType<typeof takeSnapshot>): void => {
  const decoded = decodeAgentMessage(encodeMessage({ type: 'node.status', snapshot }));
  if (!decoded.ok) throw new Error(`the coordinator cannot read it: ${decoded.problem}`);
};

/** A whole answer stays one, whatever its usage says. */
const answers = async (engine: ScriptedEngine, pages: Record<string, unknown>, { usage }: Drawn) => {
  const head = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm' };
  const { cached_tokens, ...counts } = usage;
  const events = [
    { ...head, choices: [{ index: 0, delta: { role: 'assistant', content: 'All of it.' }, finish_reason: null }] },
    { ...head, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
    { ...head, choices: [], usage: { ...counts, prompt_tokens_details: { cached_tokens } } },
  ];
  pages['/v1/chat/completions'] = `${events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')}data: [DONE]\n\n`;
  const body = { model: 'm', messages: [], stream: true };
  const trial = new TrialAttempt({ runtime: new Vllm({ url: engine.url }), route: 'chat.completions', body });
  const { ending } = await trial.seen;
  if (ending.type !== 'attempt.end') throw new Error(`the answer was lost: ${JSON.stringify(ending)}`);
  const decoded = decodeAgentMessage(encodeMessage(ending));
  if (!decoded.ok) throw new Error(`the coordinator cannot read the ending: ${decoded.problem}`);
};

const pages: Record<string, unknown> = {};
let started: Promise<ScriptedEngine> | undefined;

export const engineValues = campaign({
  about: 'whatever values an engine gives, its other models are shown, its answers end, and all of it can be told',
  runs: 100_000,
  each: CHANGES,
  property: () =>
    fc.asyncProperty(drawn, async (input) => {
      started ??= startScriptedEngine((path) => ({ body: pages[path.split('?')[0] ?? ''] ?? {} }));
      const engine = await started;
      engine.asked.length = 0;
      try {
        await listsAll(engine, pages, input);
        await answers(engine, pages, input);
      } catch (error) {
        if (error instanceof RuntimeError) throw new Error(`a list of which most can be read was refused: ${error.detail}`);
        throw error;
      }
    }),
});
