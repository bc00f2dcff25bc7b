import type { Preemption } from '@lai/shared/node';
import type { Logger } from 'pino';
import {
  idlePreemption,
  nextPreemption,
  type PreemptionAction,
  type PreemptionFacts,
  type PreemptionPolicy,
  type PreemptionState,
} from './preemption.ts';

const TICK_MS = 50;
/** Nothing changes quickly once it is settled; an event (`poke`) is noticed at once anyway. */
const SETTLED_TICK_MS = 1_000;
const STEPS_KEPT = 12;

export interface PreemptorVerbs {
  facts(): PreemptionFacts;
  policy(): PreemptionPolicy;
  act(action: PreemptionAction): void;
  /** True from the first unload until the memory is proven free: the GPU is to be read often. */
  watchMemory(isWatching: boolean): void;
  changed(): void;
}

/**
 * Drives preemption.ts: asks for the facts, takes the step, does what the step says. Single writer of its state. Runs a timer only
 * while something is under way.
 */
export class Preemptor {
  readonly #verbs: PreemptorVerbs;
  readonly #log: Logger;
  /** Its times are by the monotonic clock: a clock that is set must not cut anybody's grace short. */
  #state: PreemptionState = idlePreemption;
  #steps: Preemption['steps'] = [];
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #isAdvancing = false;

  constructor(verbs: PreemptorVerbs, log: Logger) {
    this.#verbs = verbs;
    this.#log = log;
  }

  get step(): PreemptionState['step'] {
    return this.#state.step;
  }

  /** Null when nothing was ever preempted; afterwards the last time stays readable until the machine is free again. */
  report(): Preemption | null {
    if (this.#state.step === 'idle') return null;
    return { step: this.#state.step, sinceMs: this.#steps.at(-1)?.atMs ?? Date.now(), steps: [...this.#steps] };
  }

  /** Something that the steps depend on has changed. Takes every step that is due now. */
  poke(): void {
    // What a step does may poke us; the step that is being taken looks again anyway.
    if (this.#isClosed || this.#isAdvancing) return;
    clearTimeout(this.#timer);
    this.#isAdvancing = true;
    while (this.#advance());
    this.#isAdvancing = false;
    const { step } = this.#state;
    if (step === 'idle') return;
    const isSettled = step === 'freed' || step === 'stuck';
    this.#timer = setTimeout(() => this.poke(), isSettled ? SETTLED_TICK_MS : TICK_MS);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#verbs.watchMemory(false);
  }

  #advance(): boolean {
    const before = this.#state;
    const nowMs = performance.now();
    const { state, action } = nextPreemption(before, this.#verbs.facts(), this.#verbs.policy(), nowMs);
    if (state === before) return false;
    this.#state = state;
    if (before.step === 'idle') this.#steps = [];
    if (state.step !== 'idle')
      this.#steps = [...this.#steps, { step: state.step, atMs: Date.now(), detail: state.detail }].slice(-STEPS_KEPT);
    this.#log.info({ step: state.step, before: before.step, detail: state.detail }, 'preemption');
    this.#verbs.watchMemory(WATCHING.has(state.step));
    if (action !== null) this.#verbs.act(action);
    this.#verbs.changed();
    return true;
  }
}

const WATCHING: ReadonlySet<PreemptionState['step']> = new Set([
  'canceling',
  'unloading',
  'verifying',
  'stopping_engine',
  'stuck',
]);
