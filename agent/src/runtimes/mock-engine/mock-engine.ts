import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerControl } from './control.ts';
import { llamaServer } from './dialect-llama-server.ts';
import { ollama } from './dialect-ollama.ts';
import { vllm } from './dialect-vllm.ts';
import { Engine } from './engine.ts';
import type { Dialect } from './inference.ts';
import { GIB, parseModels } from './model-spec.ts';
import { DEFAULT_TUNING, type MockEngineOptions } from './options.ts';
import { VramLedger } from './vram-ledger.ts';
import { SIMULATED_HEADER } from './wire.ts';

export type { MockEngineOptions } from './options.ts';

export interface MockEngine {
  readonly url: string;
  readonly port: number;
  readonly engine: Engine;
  readonly close: () => Promise<void>;
}

const HOST = '127.0.0.1';

/**
 * Starts a simulated engine on loopback and resolves when its port is open (vLLM opens it only when the model is loaded).
 * `close` breaks whatever is running. Rejects when a vLLM's model does not fit.
 */
export const startMockEngine = async (options: MockEngineOptions): Promise<MockEngine> => {
  const dialect = dialectOf(options);
  const name = options.name ?? 'mock-gpu';
  const ledger = options.gpu ?? new VramLedger({ name, totalBytes: (options.vramGb ?? 8) * GIB });
  const engine = new Engine({
    name,
    ledger,
    habits: dialect.habits,
    tuning: { ...DEFAULT_TUNING, ...dialect.tuning, ...options.tuning },
    specs: parseModels(options.models),
    allowsFaults: options.allowFaults ?? false,
  });
  if (dialect.loadsBeforeListening) await loadFirst(engine);
  else if (options.isSingleModel === true) void loadFirst(engine);
  const port = await openPort({ engine, dialect, port: options.port ?? 0, onExit: options.onExit ?? (() => {}) });
  return { url: `http://${HOST}:${port.number}`, port: port.number, engine, close: port.close };
};

const dialectOf = (options: MockEngineOptions): Dialect => {
  switch (options.dialect) {
    case 'ollama':
      return ollama();
    case 'llama-server':
      return llamaServer({ isSingleModel: options.isSingleModel ?? false, sleepIdleMs: options.sleepIdleMs ?? null });
    case 'vllm':
      return vllm();
  }
};

const loadFirst = async (engine: Engine): Promise<void> => {
  const model = engine.models[0];
  if (!model || model.phase === 'warm') return;
  const ticket = engine.ticket({ model, route: 'start', wantsSlot: false });
  engine.admit(ticket);
  const admission = await ticket.admission;
  if (admission.kind !== 'slot') throw new Error(`${engine.name}: ${model.spec.name} does not fit into the free memory`);
};

interface Port {
  readonly number: number;
  readonly close: () => Promise<void>;
}

const openPort = async (door: {
  engine: Engine;
  dialect: Dialect;
  port: number;
  onExit: (code: number) => void;
}): Promise<Port> => {
  const { engine, dialect } = door;
  const answer = (req: IncomingMessage, res: ServerResponse): void => {
    const at = req.url?.indexOf('?') ?? -1;
    const path = at < 0 ? (req.url ?? '/') : (req.url ?? '/').slice(0, at);
    const query = new URLSearchParams(at < 0 ? '' : req.url?.slice(at + 1));
    res.sendDate = false;
    res.setHeader(SIMULATED_HEADER, '1');
    for (const [header, value] of Object.entries(dialect.headers)) res.setHeader(header, value);
    const exchange = { req, res, method: req.method ?? 'GET', path, query };
    const answered = path.startsWith('/_mock/')
      ? answerControl(engine, exchange, { refuseFor })
      : dialect.answer(engine, exchange);
    // Bodies that break off reject here; there is nobody left to tell.
    Promise.resolve(answered).catch(() => res.destroy());
  };
  const listener = createServer({ keepAliveTimeout: 60_000 }, answer);
  const listen = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(port, HOST, () => {
        listener.off('error', reject);
        resolve();
      });
    });
  const shut = (): Promise<void> =>
    new Promise((resolve) => {
      listener.close(() => resolve());
      listener.closeAllConnections();
    });
  const refuseFor = (durationMs: number): void => {
    void shut();
    setTimeout(() => {
      if (!engine.isDead) void listen(number);
    }, durationMs);
  };
  await listen(door.port);
  const number = (listener.address() as AddressInfo).port;
  engine.onExit = (code) => {
    // Breaks every connection, as the end of a process does. Answers cut by `die` get their turn first.
    setImmediate(() => {
      void shut();
      door.onExit(code);
    });
  };
  return {
    number,
    close: async () => {
      engine.stop();
      await shut();
    },
  };
};
