import type { JobQueue, JobQueues } from '../../coordinator/src/dispatch/job-queue.ts';
import type { LeaseStore } from '../../coordinator/src/dispatch/lease-store.ts';
import type { LoadClaims } from '../../coordinator/src/dispatch/loads.ts';
import type { NodeLink } from '../../coordinator/src/dispatch/nodes.ts';
import type { AttemptRequest, RunningAttempt } from '../../coordinator/src/nodes/node-session.ts';
import type { Frame } from '../../shared/src/attempt.ts';

/** What a replica's core stands on, as far as a break replaces it. */
export interface Ground {
  leases(store: LeaseStore): LeaseStore;
  queues(queues: JobQueues): JobQueues;
  loadClaims(claims: LoadClaims): LoadClaims;
  link(link: NodeLink, nodeId: string): NodeLink;
}

export const firmGround: Ground = {
  leases: (store) => store,
  queues: (queues) => queues,
  loadClaims: (claims) => claims,
  link: (link) => link,
};

/**
 * Bugs that somebody might make, made on purpose to see whether the simulation finds them. Each breaks one rule from outside, by what it
 * puts under the core; the product has no switch for any of them.
 */
export const BREAKS = {
  release: 'an attempt never says that its slot is free',
  epoch: 'a connection passes for the one that the slot was claimed on',
  commit: 'a second answer is begun after content of the first was sent',
  quarantine: 'a crashed engine is reported as one that made an error',
  suspicion: 'whoever was given a slot passes for being on the engine',
  load: 'everybody who wants to load a model may',
  fairness: 'the queue forgets priorities',
} as const;

export type Break = keyof typeof BREAKS;

export const isBreak = (name: string): name is Break => Object.hasOwn(BREAKS, name);

export const groundFor = (name: Break | null): Ground => (name === null ? firmGround : { ...firmGround, ...broken(name) });

const broken = (name: Break): Partial<Ground> => {
  switch (name) {
    case 'release':
      return { link: (link) => onAttempts(link, withoutRelease) };
    case 'epoch': {
      const claimed = new Map<string, number>();
      return {
        leases: (store) => ({
          ...store,
          claim: (request, ttlMs) => {
            claimed.set(request.nodeId, request.epoch);
            return store.claim(request, ttlMs);
          },
        }),
        link: (link, nodeId) => ({ ...plain(link), epoch: claimed.get(nodeId) ?? link.epoch }),
      };
    }
    case 'commit':
      return { link: (link) => ({ ...plain(link), startAttempt: (request) => twice(link, request) }) };
    case 'quarantine':
      return { link: (link) => onAttempts(link, (running) => ({ ...running, frames: harmless(running.frames) })) };
    case 'suspicion':
      return { link: (link) => onAttempts(link, (running) => ({ ...running, reach: () => 'node' })) };
    case 'load':
      return { loadClaims: () => ({ claim: async () => true, release: async () => {} }) };
    case 'fairness':
      return { queues: (queues) => ({ of: (target) => unordered(queues.of(target)) }) };
  }
};

const plain = (link: NodeLink): NodeLink => ({
  epoch: link.epoch,
  instanceId: link.instanceId,
  startAttempt: (request) => link.startAttempt(request),
  loadModel: (model, isForced) => link.loadModel(model, isForced),
});

const onAttempts = (link: NodeLink, change: (running: RunningAttempt) => RunningAttempt): NodeLink => ({
  ...plain(link),
  startAttempt: (request) => change(link.startAttempt(request)),
});

const withoutRelease = (running: RunningAttempt): RunningAttempt => ({ ...running, settled: new Promise(() => {}) });

const twice = (link: NodeLink, request: AttemptRequest): RunningAttempt => {
  const first = link.startAttempt(request);
  const frames = async function* (): AsyncGenerator<Frame, void> {
    let hasContent = false;
    for await (const frame of first.frames) {
      if (frame.kind === 'failed' && hasContent) {
        yield* link.startAttempt({ ...request, attemptId: `${request.attemptId}-again` }).frames;
        return;
      }
      hasContent ||= frame.kind === 'chunk' && frame.chunk === 'content';
      yield frame;
    }
  };
  return { ...first, frames: frames() };
};

async function* harmless(frames: AsyncIterable<Frame>): AsyncGenerator<Frame, void> {
  for await (const frame of frames) {
    const isCrash = frame.kind === 'failed' && (frame.code === 'engine_crashed' || frame.code === 'node_lost');
    yield isCrash ? { ...frame, code: 'engine_error' } : frame;
  }
}

const unordered = (queue: JobQueue): JobQueue => ({ ...queue, add: (job) => queue.add({ ...job, priority: 1 }) });
