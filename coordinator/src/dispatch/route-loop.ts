import type { Frame } from '@lai/shared/attempt';
import type { FleetStep, ProviderStep, Route, Step } from '../routing/route.ts';
import type { Placement } from '../scheduler/place.ts';
import { type Answer, type Dispatcher, type DispatchRequest, newTrail, type StepEnded, type Trail } from './dispatcher.ts';
import { type Left, leavesStep, whyLeave } from './steps.ts';

/** A request that goes by a route instead of to one target. */
export type RoutedRequest = Omit<DispatchRequest, 'target'>;

/** Where the frames of a provider step come from. */
export interface ProviderSource {
  /** Why the provider is not asked now; null when it is. */
  refusal(step: ProviderStep): Left | null;
  /** One attempt. The last frame is `end` or `failed`; what precedes content is held back until content comes. */
  attempt(
    request: RoutedRequest,
    step: ProviderStep,
    trail: Trail,
    over: (ended: StepEnded) => void,
  ): AsyncGenerator<Frame, void>;
}

export interface RouteLoopOptions {
  readonly dispatcher: Pick<Dispatcher, 'answer' | 'step' | 'ended'>;
  readonly preview: (target: FleetStep['target']) => Placement;
  readonly providers: ProviderSource;
  readonly nowMs: () => number;
}

/**
 * Works the steps of a route in order under one deadline, until one has answered or something was committed. What a step began is undone
 * by the step itself when its frames are no longer read. Throws CodedError at once for a route of one step that can never be served.
 */
export class RouteLoop {
  readonly #options: RouteLoopOptions;

  constructor(options: RouteLoopOptions) {
    this.#options = options;
  }

  answer(request: RoutedRequest, route: Route): Answer {
    const routeTrail = {
      asked: route.asked,
      because: route.because,
      left: route.skipped.map(({ name, reason, detail }) => ({ step: name, reason, detail })),
      step: route.steps[0]?.name ?? null,
    };
    const [only] = route.steps;
    if (only?.kind === 'fleet' && route.steps.length === 1)
      return this.#options.dispatcher.answer({ ...request, target: only.target }, routeTrail);
    const trail = newTrail(this.#options.nowMs(), routeTrail);
    const run: Run = { trail, waiting: () => null, ended: { outcome: 'canceled', lastPlacement: null } };
    return { frames: this.#work(request, route, run), trail, waiting: () => run.waiting() };
  }

  async *#work(request: RoutedRequest, { steps, spillAfterMs }: Route, run: Run): AsyncGenerator<Frame, void> {
    const { trail } = run;
    try {
      for (const [index, step] of steps.entries()) {
        const isLast = index === steps.length - 1;
        const left = isLast ? null : this.#whyLeave(step, spillAfterMs);
        const patienceMs = isLast ? null : spillAfterMs;
        const why = left ?? asLeft(yield* this.#try(request, step, isLast, patienceMs, run));
        if (why === null) return;
        trail.route?.left.push({ step: step.name, ...why });
      }
    } finally {
      this.#options.dispatcher.ended({ ...request, target: targetOf(steps) }, trail, run.ended.outcome, run.ended.lastPlacement);
    }
  }

  /** Yields the answer of the step; returns its failure when the next step should be tried, and null when the request is over. */
  async *#try(
    request: RoutedRequest,
    step: Step,
    isLast: boolean,
    patienceMs: number | null,
    run: Run,
  ): AsyncGenerator<Frame, Failed | null> {
    const { trail } = run;
    if (trail.route) trail.route.step = step.name;
    for await (const frame of this.#framesOf(request, step, patienceMs, run)) {
      const mayGoOn = !isLast && !trail.isCommitted && !request.signal.aborted;
      if (frame.kind === 'failed' && mayGoOn && leavesStep(frame.code)) return frame;
      yield frame;
    }
    return null;
  }

  #framesOf(request: RoutedRequest, step: Step, patienceMs: number | null, run: Run): AsyncIterable<Frame> {
    const over = (ended: StepEnded) => {
      run.ended = ended;
    };
    if (step.kind === 'provider') {
      run.waiting = () => null;
      return this.#options.providers.attempt(request, step, run.trail, over);
    }
    const queueDeadlineMs = Math.min(request.queueDeadlineMs, this.#options.nowMs() + (patienceMs ?? Number.POSITIVE_INFINITY));
    const { frames, waiting } = this.#options.dispatcher.step(
      { ...request, target: step.target, queueDeadlineMs },
      run.trail,
      over,
    );
    run.waiting = waiting;
    return frames;
  }

  /** What would happen at this step now, for people. */
  now(step: Step, spillAfterMs: number | null): { readonly now: string; readonly isLeft: boolean } {
    const left = this.#whyLeave(step, spillAfterMs);
    if (left) return { now: `${left.reason}${left.detail ? ` (${left.detail})` : ''}`, isLeft: true };
    if (step.kind === 'provider') return { now: `${step.model} at ${step.providerId}`, isLeft: false };
    const { decision, candidates } = this.#options.preview(step.target);
    const best = 'candidate' in decision ? decision.candidate : candidates[0];
    if (!best) return { now: 'would wait for a machine', isLeft: false };
    const begin = `first token expected after ${Math.round(best.expectedMs)} ms`;
    return { now: `${best.model} on ${best.nodeName} (${best.action}, ${begin})`, isLeft: false };
  }

  #whyLeave(step: Step, spillAfterMs: number | null): Left | null {
    if (step.kind === 'provider') return this.#options.providers.refusal(step);
    return whyLeave(this.#options.preview(step.target), spillAfterMs);
  }
}

type Failed = Extract<Frame, { kind: 'failed' }>;

/** A request on its way through its steps. */
interface Run {
  readonly trail: Trail;
  waiting: Answer['waiting'];
  /** How the step that was tried last ended. */
  ended: StepEnded;
}

const asLeft = (failure: Failed | null): Left | null => failure && { reason: failure.code, detail: failure.message };

/** What `lai explain` shows as the target: that of the last step on the fleet, or the provider's model. */
const targetOf = (steps: readonly Step[]): DispatchRequest['target'] => {
  const fleet = steps.findLast((step) => step.kind === 'fleet');
  if (fleet) return fleet.target;
  const provider = steps.at(-1);
  return { model: provider?.kind === 'provider' ? provider.model : '', capabilities: [], contextTokens: 0 };
};
