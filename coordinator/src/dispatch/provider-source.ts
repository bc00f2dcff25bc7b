import type { Frame } from '@lai/shared/attempt';
import { ERRORS } from '@lai/shared/errors';
import type { Providers } from '../providers/providers.ts';
import type { ProviderStep } from '../routing/route.ts';
import type { Clock } from './clock.ts';
import type { StepEnded, Trail, TrailAttempt } from './dispatcher.ts';
import type { ProviderSource, RoutedRequest } from './route-loop.ts';

/** Providers as a source of frames: what precedes content is held back, as with nodes, so that another step may still answer. */
export const providerSource = (providers: Providers, clock: Clock): ProviderSource => ({
  refusal: (step) => providers.refusal(step),
  attempt: (request, step, trail, over) => attempt(providers, clock, request, step, trail, over),
});

async function* attempt(
  providers: Providers,
  clock: Clock,
  request: RoutedRequest,
  step: ProviderStep,
  trail: Trail,
  over: (ended: StepEnded) => void,
): AsyncGenerator<Frame, void> {
  const { providerId, model } = step;
  const record: TrailAttempt = {
    ...{ providerId, nodeId: `provider:${providerId}`, nodeName: providerId, model, startedAtMs: clock.nowMs() },
    ...{ placement: null, outcome: 'running', isSilent: true },
  };
  trail.attempts.push(record);
  trail.queueMs ??= clock.nowMs() - trail.enqueuedAtMs;
  const late = new AbortController();
  const disarm = clock.after(Math.max(0, request.deadlineMs - clock.nowMs()), () => late.abort());
  const signal = AbortSignal.any([request.signal, late.signal]);
  const held: Frame[] = [];
  try {
    for await (const frame of providers.ask(step, { route: request.route, body: request.bodyFor(model), signal })) {
      if (frame.kind === 'chunk' && !trail.isCommitted && (frame.chunk !== 'content' || request.isCollected)) {
        held.push(frame);
        continue;
      }
      const last = frame.kind === 'failed' && late.signal.aborted ? DEADLINE : frame;
      if (last.kind !== 'chunk') {
        record.outcome = last.kind === 'end' ? 'end' : last.code;
        over({ outcome: record.outcome, lastPlacement: null });
      }
      if (last.kind !== 'failed') {
        trail.isCommitted ||= last.kind === 'chunk';
        yield* held.splice(0);
      }
      yield last;
    }
  } finally {
    disarm();
    if (record.outcome === 'running') record.outcome = 'canceled';
  }
}

const DEADLINE = { kind: 'failed', code: 'deadline_exceeded', message: ERRORS.deadline_exceeded.sentence } as const;
