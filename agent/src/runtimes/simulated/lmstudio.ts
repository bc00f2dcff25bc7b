import { OpenAiDoor, promptWords, sendJson, type Visit } from './openai-door.ts';

/** Its native pages have the fields of LM Studio's documentation of 2026-04; what happens beside them is assumed. */
const CONTEXT = 512;

interface Entry {
  readonly key: string;
  readonly type: 'llm' | 'embedding';
  instances: string[];
}

export const startSimulatedLmStudio = async () => {
  const models: Entry[] = [
    { key: 'qwen/qwen3-4b', type: 'llm', instances: [] },
    { key: 'text-embedding-nomic', type: 'embedding', instances: [] },
  ];
  const downloads = new Map<string, { model: string; bytes: number }>();
  const counts = { loads: 0 };
  const TOTAL = 1_000;

  const page = (model: Entry) => ({
    type: model.type,
    publisher: 'simulated',
    key: model.key,
    display_name: `${model.key} (simulated)`,
    quantization: { name: 'Q4_K_M', bits_per_weight: 4 },
    size_bytes: 2_279_145_003,
    params_string: '4B',
    loaded_instances: model.instances.map((id) => ({ id, config: { context_length: CONTEXT, parallel: 2 } })),
    max_context_length: 32_768,
    format: 'gguf',
    ...(model.type === 'llm' ? { architecture: 'qwen3', capabilities: { vision: false, trained_for_tool_use: true } } : {}),
  });
  const load = (model: Entry) => {
    counts.loads += 1;
    model.instances.push(model.instances.length === 0 ? model.key : `${model.key}:${model.instances.length + 1}`);
  };
  const jobOf = (id: string) => {
    const job = downloads.get(id);
    if (!job) return null;
    job.bytes = Math.min(TOTAL, job.bytes + 250);
    const isDone = job.bytes === TOTAL;
    if (isDone && !models.some(({ key }) => key === job.model)) models.push({ key: job.model, type: 'llm', instances: [] });
    return {
      job_id: id,
      status: isDone ? 'completed' : 'downloading',
      total_size_bytes: TOTAL,
      downloaded_bytes: job.bytes,
    };
  };

  const answer = ({ method, path, body, response }: Visit): boolean => {
    const found = models.find(({ key }) => key === body['model']);
    const missing = () =>
      sendJson(response, 404, { error: { type: 'model_not_found', message: `Model ${body['model']} not found` } });
    switch (`${method} ${path.replace(/job_\d+$/, ':job')}`) {
      case 'GET /api/v1/models':
        sendJson(response, 200, { models: models.map(page) });
        return true;
      case 'POST /api/v1/models/load':
        if (found) load(found);
        if (found) sendJson(response, 200, { instance_id: found.instances.at(-1), status: 'loaded', load_time_seconds: 0.1 });
        else missing();
        return true;
      case 'POST /api/v1/models/unload': {
        const owner = models.find(({ instances }) => instances.includes(String(body['instance_id'])));
        if (owner) owner.instances = owner.instances.filter((id) => id !== body['instance_id']);
        door.breakAnswers();
        sendJson(response, owner ? 200 : 404, owner ? { instance_id: body['instance_id'] } : { error: 'no such instance' });
        return true;
      }
      case 'POST /api/v1/models/download':
        if (found) sendJson(response, 200, { status: 'already_downloaded' });
        else if (String(body['model']).startsWith('simulated/')) {
          const id = `job_${downloads.size + 1}`;
          downloads.set(id, { model: String(body['model']), bytes: 0 });
          sendJson(response, 200, jobOf(id));
        } else missing();
        return true;
      case 'GET /api/v1/models/download/status/:job': {
        const job = jobOf(path.split('/').at(-1) ?? '');
        sendJson(response, job ? 200 : 404, job ?? { error: 'no such job' });
        return true;
      }
      default:
        return false;
    }
  };

  const door = new OpenAiDoor({
    answer,
    refuse: ({ body }) => {
      const model = models.find(({ key }) => key === body['model']);
      if (!model)
        return { status: 404, body: { error: { message: `Model "${body['model']}" not found`, code: 'model_not_found' } } };
      if (promptWords(body) > CONTEXT)
        return { status: 400, body: { error: { message: 'The prompt is longer than the maximum context length of 512.' } } };
      // Loaded on demand, as its users know it.
      if (model.instances.length === 0) load(model);
      return null;
    },
  });
  const url = await door.open();
  return { url, door, counts };
};
