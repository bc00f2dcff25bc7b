import { sameModel } from '@lai/shared/node';
import type { Logger } from 'pino';
import type { Registry } from '../nodes/registry.ts';
import type { Candidate } from '../scheduler/place.ts';
import type { Figures } from './figures.ts';

const BAR_MS = 30_000;
const LONGEST_BAR_MS = 5 * 60_000;

/**
 * Cold loads in progress. One at a time per model in the whole fleet, however many requests wait for it: they stay queued, bound to
 * nobody, and start where the model turns up. A load that failed bars the model on that node for a while. Single writer of both.
 */
export class Loads {
  readonly #registry: Registry;
  readonly #figures: Figures;
  readonly #onDone: () => void;
  readonly #log: Logger;
  /** By node: models it was asked to load. */
  readonly #loading = new Map<string, Set<string>>();
  readonly #bars = new Map<string, Map<string, { untilMs: number; failures: number }>>();

  constructor(options: { registry: Registry; figures: Figures; onDone: () => void; log: Logger }) {
    this.#registry = options.registry;
    this.#figures = options.figures;
    this.#onDone = options.onDone;
    this.#log = options.log;
  }

  /** Asks the node to load the model, unless somebody is at it already. */
  request({ nodeId, nodeName, model }: Candidate): void {
    const session = this.#registry.session(nodeId);
    if (this.#isLoading(model) || !session) return;
    const loading = this.#loading.get(nodeId) ?? new Set<string>();
    this.#loading.set(nodeId, loading.add(model));
    this.#log.info({ nodeId, node: nodeName, model }, 'asking node to load model');
    const startedAtMs = performance.now();
    void session.loadModel(model).then((outcome) => {
      loading.delete(model);
      if (outcome.ok) {
        this.#figures.learn(nodeId, model, { loadMs: performance.now() - startedAtMs });
        this.#bars.get(nodeId)?.delete(model);
      } else {
        this.#log.warn({ nodeId, node: nodeName, model, code: outcome.code }, 'model load failed');
        if (outcome.code !== 'node_lost') this.#bar(nodeId, model);
      }
      this.#onDone();
    });
  }

  on(nodeId: string): ReadonlySet<string> {
    return this.#loading.get(nodeId) ?? NO_MODELS;
  }

  barredUntilMs(nodeId: string): ReadonlyMap<string, number> {
    const bars = this.#bars.get(nodeId);
    return bars ? new Map([...bars].map(([model, bar]) => [model, bar.untilMs])) : NO_BARS;
  }

  #isLoading(model: string): boolean {
    return [...this.#loading.values()].some((models) => [...models].some((other) => sameModel(other, model)));
  }

  #bar(nodeId: string, model: string): void {
    const bars = this.#bars.get(nodeId) ?? new Map<string, { untilMs: number; failures: number }>();
    const failures = (bars.get(model)?.failures ?? 0) + 1;
    bars.set(model, { failures, untilMs: Date.now() + Math.min(LONGEST_BAR_MS, BAR_MS * failures) });
    this.#bars.set(nodeId, bars);
  }
}

const NO_MODELS: ReadonlySet<string> = new Set();
const NO_BARS: ReadonlyMap<string, number> = new Map();
