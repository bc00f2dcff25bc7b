import { z } from 'zod';
import type { Engine } from './engine.ts';
import { Fault } from './faults.ts';
import { Tuning } from './options.ts';
import { nvidiaSmiCsv } from './vram-ledger.ts';
import { type Exchange, parseFields, readBody, sendReply } from './wire.ts';

const Crash = z.object({
  /** A model: only the process that runs it dies. Absent: the engine itself. */
  model: z.string().optional(),
  exitCode: z.number().int().default(137),
  /** The engine's children survive it and keep the GPU's memory. */
  leavesOrphan: z.boolean().default(false),
});

const Game = z.object({ bytes: z.number().int().nonnegative() });
const Settings = Tuning.partial();

/** Everything about this engine that tests and telemetry may want to know. */
export const stateOf = (engine: Engine): Record<string, unknown> => ({
  name: engine.name,
  simulated: true,
  isDead: engine.isDead,
  isCoreDead: engine.isCoreDead,
  ...engine.census.summary(),
  coldQueueLength: engine.coldQueueLength,
  models: engine.models.map((model) => ({
    name: model.spec.name,
    phase: model.phase,
    isPresent: model.isPresent,
    isLeaving: model.isLeaving,
    capabilities: model.spec.capabilities,
    contextLength: model.contextLength,
    diskBytes: model.spec.sizeBytes,
    sizeBytes: model.sizeBytes,
    vramBytes: model.vramBytes,
    keepAliveMs: model.keepAliveMs,
    expiresAtMs: model.expiresAtMs,
    slots: model.slots,
    slotsInUse: model.busy.size,
    maxSlotsInUse: model.counts.maxBusy,
    queueLength: model.waiting.length,
    loads: {
      started: model.counts.loadsStarted,
      finished: model.counts.loadsFinished,
      failed: model.counts.loadsFailed,
      aborted: model.counts.loadsAborted,
    },
    unloads: model.counts.unloads,
    crashes: model.counts.crashes,
    requests: model.counts.requests,
    tokens: model.counts.tokens,
  })),
  gpu: engine.ledger.reading(),
  faults: engine.faults.list(),
  tuning: engine.tuning,
});

/** The levers, under `/_mock/` only. `refuse` closes the port for a while; whoever holds the port does that. */
export const answerControl = async (
  engine: Engine,
  exchange: Exchange,
  holdPort: { refuseFor: (durationMs: number) => void },
): Promise<void> => {
  const { res, method, path, query } = exchange;
  const ok = (value: unknown): void =>
    sendReply(res, { status: 200, contentType: 'application/json', body: JSON.stringify(value) });
  const body = method === 'POST' ? (parseFields((await readBody(exchange.req)) || '{}') ?? {}) : {};
  switch (`${method} ${path}`) {
    case 'GET /_mock/state': {
      const limit = Number(query.get('recent') ?? 100);
      return ok({ ...stateOf(engine), recent: engine.census.recent(limit) });
    }
    case 'GET /_mock/gpu':
      return ok(engine.ledger.reading());
    case 'GET /_mock/nvidia-smi':
      return sendReply(res, { status: 200, contentType: 'text/plain', body: `${nvidiaSmiCsv(engine.ledger.reading())}\n` });
    case 'POST /_mock/fault': {
      const fault = Fault.safeParse(body);
      if (!fault.success) return sendReply(res, unreadable(fault.error));
      const { kind, ms } = fault.data;
      if (kind !== 'refuse') engine.faults.arm(fault.data);
      ok({ armed: engine.faults.list() });
      // After the answer, which would not get out otherwise.
      if (kind === 'refuse') res.once('close', () => holdPort.refuseFor(ms ?? 1000));
      return;
    }
    case 'DELETE /_mock/fault':
      engine.faults.clear();
      return ok({ armed: [] });
    case 'POST /_mock/game': {
      const game = Game.safeParse(body);
      if (!game.success) return sendReply(res, unreadable(game.error));
      engine.ledger.setGameBytes(game.data.bytes);
      return ok(engine.ledger.reading());
    }
    case 'POST /_mock/set': {
      const settings = Settings.safeParse(body);
      if (!settings.success) return sendReply(res, unreadable(settings.error));
      engine.tuning = Tuning.parse({ ...engine.tuning, ...settings.data });
      return ok(engine.tuning);
    }
    case 'POST /_mock/crash': {
      const crash = Crash.safeParse(body);
      if (!crash.success) return sendReply(res, unreadable(crash.error));
      const model = engine.models.find((hosted) => hosted.spec.name === crash.data.model);
      if (crash.data.model !== undefined && !model) return sendReply(res, unreadable(new Error('no such model')));
      ok({ crashed: crash.data.model ?? engine.name });
      if (model) engine.crashRunner(model);
      // The answer first: nobody could read it from a dead process.
      else setImmediate(() => engine.die(crash.data));
      return;
    }
    default:
      return sendReply(res, { status: 404, contentType: 'application/json', body: '{"error":"no such lever"}' });
  }
};

const unreadable = (error: Error) => ({
  status: 400,
  contentType: 'application/json',
  body: JSON.stringify({ error: error.message }),
});
