import type { LoadedModel } from '@lai/shared/node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GIB, gpu, model, NOW_MS, type NodeFacts, node, target } from './__fixtures__/fleet.ts';
import { LASTING } from './filters.ts';
import { type Placement, type PlacementQuestion, place } from './place.ts';

type Nodes = PlacementQuestion['nodes'];

const ask = (nodes: Nodes, question: Partial<PlacementQuestion> = {}): Placement =>
  place({
    target: target(),
    nodes,
    excluded: new Set(),
    affinity: null,
    needsAlone: false,
    queued: 0,
    nowMs: NOW_MS,
    ...question,
  });

/** The decision in a word or three: `run attic m`, `wait`, `never model_not_found`. */
const said = ({ decision }: Placement): string => {
  if (decision.kind === 'wait') return 'wait';
  if ('code' in decision) return `${decision.kind} ${decision.code}`;
  return `${decision.kind} ${decision.candidate.nodeName} ${decision.candidate.model}`;
};

const cold = (facts: Partial<LoadedModel> = {}) => model('m', { state: 'cold', ...facts });
const held: NodeFacts = { snapshot: { holds: [{ kind: 'gaming', cause: 'detected', sinceMs: 1, untilMs: null }] } };
const busy: NodeFacts = { leased: { m: 1 } };
const barred: NodeFacts = { loadBars: new Map([['m', { untilMs: NOW_MS + 1, isTelling: true }]]) };
const resting: NodeFacts = { loadBars: new Map([['m', { untilMs: NOW_MS + 1, isTelling: false }]]) };
const inUse = () => model('old', { sizeBytes: 6 * GIB, inFlight: 1 });
const full = (...models: LoadedModel[]): NodeFacts => ({ snapshot: { gpus: [gpu({ vramFreeBytes: GIB })], models } });
const learned = (figures: { loadMs?: number; attemptMs?: number; firstContentMs?: number }): NodeFacts => ({
  figures: { m: figures },
});

describe('a request', () => {
  it.each<[string, Nodes, Partial<PlacementQuestion>, string]>([
    ['runs where the model is warm and free', [node('a', [model('m')])], {}, 'run a m'],
    ['prefers warm to cold', [node('a', [cold()]), node('b', [model('m')])], {}, 'run b m'],
    ['prefers a free slot to a busy one', [node('a', [model('m')], busy), node('b', [model('m')])], {}, 'run b m'],
    [
      'prefers the node with more room among equals',
      [node('a', [model('m')]), node('b', [model('m', { slots: 4 })]), node('c', [model('m', { slots: 2 })])],
      {},
      'run b m',
    ],
    [
      'keeps away from neighbours on the same model',
      [node('a', [model('m', { slots: 4 })], { leased: { m: 1 } }), node('b', [model('m', { slots: 4 })])],
      {},
      'run b m',
    ],
    [
      'prefers the quicker node',
      [node('a', [model('m')], learned({ firstContentMs: 900 })), node('b', [model('m')], learned({ firstContentMs: 100 }))],
      {},
      'run b m',
    ],
    [
      'goes back to where the conversation was',
      [node('a', [model('m')]), node('b', [model('m')])],
      { affinity: 'node_b' },
      'run b m',
    ],
    [
      'does not wait for the node where the conversation was while another is free',
      [node('a', [model('m')]), node('b', [model('m')], busy)],
      { affinity: 'node_b' },
      'run a m',
    ],
    [
      'waits for a busy model rather than to load it elsewhere for longer',
      [node('a', [model('m')], { ...busy, ...learned({ attemptMs: 2_000 }) }), node('b', [cold({ sizeBytes: 5e9 })])],
      {},
      'wait',
    ],
    [
      'is a reason to load the model elsewhere when the line is long',
      [node('a', [model('m')], { ...busy, ...learned({ attemptMs: 2_000 }) }), node('b', [cold({ sizeBytes: 5e9, slots: 1 })])],
      { queued: 9 },
      'load b m',
    ],
    [
      'has the model loaded where that is quickest',
      [node('a', [cold()], learned({ loadMs: 9_000 })), node('b', [cold()], learned({ loadMs: 800 }))],
      {},
      'load b m',
    ],
    [
      'has its model loaded elsewhere when a load takes far too long',
      [node('a', [cold()], { loading: new Map([['m', NOW_MS - 61_000]]) }), node('b', [cold()])],
      {},
      'load b m',
    ],
    ['waits for a load that is under way', [node('a', [cold()], { loading: new Map([['m', NOW_MS]]) })], {}, 'wait'],
    [
      'takes a slower slot that is free now rather than wait for a quicker load',
      [
        node('a', [cold()], { loading: new Map([['m', NOW_MS]]), figures: { m: { loadMs: 200, firstContentMs: 10 } } }),
        node('b', [model('m')], learned({ firstContentMs: 150 })),
      ],
      {},
      'run b m',
    ],
    [
      'waits all the same when the free slot is far slower',
      [
        node('a', [cold()], { loading: new Map([['m', NOW_MS]]), figures: { m: { loadMs: 200, firstContentMs: 10 } } }),
        node('b', [model('m')], learned({ firstContentMs: 220 })),
      ],
      {},
      'wait',
    ],
    [
      'would rather not send another model away',
      [
        node('a', [cold(), model('old', { sizeBytes: 6 * GIB })], full(cold(), model('old', { sizeBytes: 6 * GIB }))),
        node('b', [cold()]),
      ],
      {},
      'load b m',
    ],
    [
      'sends an idle model away when it must',
      [node('a', [cold(), model('old', { sizeBytes: 6 * GIB })], full(cold(), model('old', { sizeBytes: 6 * GIB })))],
      {},
      'load a m',
    ],
    ['is told when its model could not be loaded', [node('a', [cold()], barred)], {}, 'failing load_failed'],
    [
      'is told when loading ran out of memory wherever it could be',
      [
        node('a', [cold()], { shortageBytes: () => 8 * GIB }),
        node('b', [cold()], barred),
        node('c', [cold({ capabilities: [] })]),
      ],
      {},
      'failing load_failed',
    ],
    [
      'is told although somebody is away who might do better',
      [node('a', [cold()], barred), node('b', [cold()], { liveness: 'dead' })],
      {},
      'failing load_failed',
    ],
    ['waits for somebody else after a load that failed', [node('a', [cold()], barred), node('b', [cold()], held)], {}, 'wait'],
    ['waits for the second try of a load', [node('a', [cold()], resting)], {}, 'wait'],
    ['is served by somebody else after a load that failed', [node('a', [cold()], barred), node('b', [cold()])], {}, 'load b m'],
    [
      'has a node drained when its model fits nowhere else',
      [node('a', [cold(), inUse()], full(cold(), inUse()))],
      {},
      'drain a m',
    ],
    [
      'has none drained while it could wait for a slot where its model is',
      [
        node('a', [cold(), inUse()], full(cold(), inUse())),
        node('b', [model('m')], { ...busy, figures: { m: { attemptMs: 90_000 } } }),
      ],
      {},
      'wait',
    ],
    [
      'would rather be drained for than be served by a card that is far too small',
      [
        node('a', [cold(), inUse()], { ...full(cold(), inUse()), figures: { old: { attemptMs: 500 }, m: { loadMs: 100 } } }),
        node('b', [cold()], {
          snapshot: {
            gpus: [gpu({ vramTotalBytes: GIB, vramFreeBytes: GIB })],
            runtimes: [
              ...([{ kind: 'ollama', version: null, state: 'ready', mode: 'owned', isSimulated: false, detail: null }] as const),
            ].map((runtime) => ({ ...runtime, spillsToMemory: true })),
            models: [cold()],
          },
          figures: { m: { loadMs: 100 } },
        }),
      ],
      {},
      'drain a m',
    ],
    [
      'asks again in a moment where somebody was faster, instead of loading the model elsewhere',
      [node('a', [model('m')], { isContested: () => true }), node('b', [cold()])],
      {},
      'wait',
    ],
    ['waits when the model does not fit for now', [node('a', [cold()], full(cold()))], {}, 'wait'],
    ['waits while the only node is held', [node('a', [model('m')], held)], {}, 'wait'],
    [
      'runs elsewhere while a node is held',
      [node('a', [model('m')], held), node('b', [model('m')], busy), node('c', [model('m')])],
      {},
      'run c m',
    ],
    ['waits while the only node does not answer', [node('a', [model('m')], { liveness: 'suspect' })], {}, 'wait'],
    ['waits while the only node is gone', [node('a', [model('m')], { liveness: 'dead' })], {}, 'wait'],
    [
      'is not sent to where it failed',
      [node('a', [model('m')]), node('b', [cold()])],
      { excluded: new Set(['node_a']) },
      'load b m',
    ],
    ['waits when it failed on the only node', [node('a', [model('m')])], { excluded: new Set(['node_a']) }, 'wait'],
    [
      'runs alone where it may be dangerous',
      [node('a', [model('m', { slots: 2 })], busy), node('b', [cold()])],
      { needsAlone: true },
      'load b m',
    ],
    ['waits for an empty fleet: what it will have, nobody knows', [], {}, 'wait'],
    ['never finds a model that nobody has', [node('a', [model('n')])], {}, 'never model_not_found'],
    ['never finds a model in a fleet without models', [node('a', [])], {}, 'never model_not_found'],
    [
      'waits for a model whose node is away',
      [node('a', [model('n')]), node('b', [model('m')], { liveness: 'dead' })],
      {},
      'wait',
    ],
    [
      'never finds eyes where there are none, busy or not',
      [node('a', [model('m')], held), node('b', [model('m')], { liveness: 'dead' })],
      { target: target({ capabilities: ['chat', 'vision'] }) },
      'never capability_missing',
    ],
    [
      'never finds a context that is long enough',
      [node('a', [model('m')]), node('b', [model('m', { capabilities: [] })])],
      { target: target({ contextTokens: 8_192 }) },
      'never context_length_exceeded',
    ],
    [
      'waits for the one node that could',
      [node('a', [model('m')]), node('b', [model('m', { contextLength: 9_000 })], held)],
      { target: target({ contextTokens: 8_192 }) },
      'wait',
    ],
    ['means a model with and without :latest', [node('a', [model('m:latest')])], {}, 'run a m:latest'],
    ['means a model by its name with :latest', [node('a', [model('m')])], { target: target({ model: 'm:latest' }) }, 'run a m'],
    ['does not mean another size of it', [node('a', [model('m:7b')])], {}, 'never model_not_found'],
    [
      'for any model takes the quickest that can do it',
      [node('a', [model('blind'), model('eyes', { capabilities: ['chat', 'vision'], state: 'cold' })]), node('b', [model('n')])],
      { target: target({ model: 'auto', capabilities: ['chat', 'vision'] }) },
      'load a eyes',
    ],
    [
      'for any model does not take one that cannot chat',
      [node('a', [model('embed', { capabilities: ['embedding'] })])],
      { target: target({ model: 'auto' }) },
      'never capability_missing',
    ],
  ])('%s', (_, nodes, question, decision) => {
    expect(said(ask(nodes, question))).toBe(decision);
  });
});

describe('a model that failed several times lately', () => {
  const resting = (forMs: number): NodeFacts => ({ coolingUntilMs: () => NOW_MS + forMs });

  it.each<[string, Nodes, string]>([
    ['is left alone while another can', [node('a', [model('m')], resting(1)), node('b', [cold()])], 'load b m'],
    ['is asked again when its rest is over', [node('a', [model('m')], resting(0)), node('b', [cold()])], 'run a m'],
    ['is asked all the same when it is the only one', [node('a', [model('m')], resting(9))], 'run a m'],
    [
      'is asked first when its rest ends first, once more than half are in trouble',
      [node('a', [model('m')], resting(30)), node('b', [model('m')], resting(10)), node('c', [cold()], resting(20))],
      'run b m',
    ],
  ])('%s', (_, nodes, decision) => {
    expect(said(ask(nodes))).toBe(decision);
  });

  it('is among the refusals with its reason', () => {
    const { refusals } = ask([node('a', [model('m')], resting(1)), node('b', [cold()])]);
    expect(refusals).toMatchObject([{ nodeName: 'a', model: 'm', reason: 'cooling' }]);
  });
});

describe('a placement', () => {
  it('says of every node what could be done and what it would cost, or why not', () => {
    const { candidates, refusals } = ask(
      [
        node('a', [model('m', { slots: 3 })], { epoch: 7, snapshot: { maxConcurrent: 5 } }),
        node('b', [cold({ sizeBytes: 1e9 })]),
        node('c', [model('m')], held),
        node('d', [model('n')]),
      ],
      { queued: 2 },
    );
    expect(candidates).toMatchObject([
      { nodeId: 'node_a', nodeName: 'a', epoch: 7, model: 'm', action: 'run', expectedMs: 1_000, nodeSlots: 5, modelSlots: 3 },
      { nodeId: 'node_b', action: 'load', score: { loadMs: 2_000, prefillMs: 1_000 }, expectedMs: 3_000 },
    ]);
    expect(refusals).toEqual([
      { nodeId: 'node_c', nodeName: 'c', model: 'm', reason: 'held', detail: 'gaming (detected)' },
      { nodeId: 'node_d', nodeName: 'd', model: null, reason: 'no_model', detail: 'does not have m' },
    ]);
  });

  it('gives the reason that lasts before the one that passes', () => {
    const { refusals } = ask([node('a', [model('m')], held)], { target: target({ capabilities: ['vision'] }) });
    expect(refusals).toMatchObject([{ reason: 'capability_missing' }]);
  });
});

// Whatever the fleet looks like

const anyModel = fc.record({
  id: fc.constantFrom('m', 'm:latest', 'n'),
  state: fc.constantFrom('cold', 'loading', 'warm', 'draining', 'unloading', 'failed'),
  slots: fc.nat(3),
  capabilities: fc.constantFrom<string[]>(['chat'], ['chat', 'vision'], ['embedding']),
  contextLength: fc.constantFrom(null, 2_048, 8_192),
  sizeBytes: fc.constantFrom(null, GIB, 6 * GIB, 20 * GIB),
  vramBytes: fc.constantFrom(null, 0, 5 * GIB),
  inFlight: fc.nat(1),
  isPinned: fc.boolean(),
});
const anyFacts = fc.record({
  models: fc.uniqueArray(anyModel, { maxLength: 3, selector: ({ id }) => id }),
  epoch: fc.nat(3),
  liveness: fc.constantFrom('alive', 'alive', 'alive', 'suspect', 'dead'),
  isHeld: fc.nat(5).map((roll) => roll === 0),
  isReserved: fc.nat(9).map((roll) => roll === 0),
  leased: fc.nat(3),
  isLoading: fc.nat(4).map((roll) => roll === 0),
  isBarred: fc.nat(4).map((roll) => roll === 0),
  isContested: fc.nat(9).map((roll) => roll === 0),
  restMs: fc.constantFrom(0, 0, 1, 2),
  freeGib: fc.constantFrom(null, 1, 4, 8),
  firstContentMs: fc.constantFrom(null, 100, 1_000),
  maxConcurrent: fc.nat(4),
});

const anyNode = (name: string) =>
  anyFacts.map((facts) =>
    node(
      name,
      facts.models.map(({ id, ...rest }) => model(id, rest)),
      {
        epoch: facts.epoch,
        liveness: facts.liveness,
        isReserved: facts.isReserved,
        leased: { m: facts.leased },
        loading: new Map(facts.isLoading ? [['m', NOW_MS]] : []),
        loadBars: new Map(facts.isBarred ? [['m', { untilMs: NOW_MS + 1, isTelling: true }]] : []),
        isContested: () => facts.isContested,
        coolingUntilMs: () => NOW_MS + facts.restMs,
        figures: { m: { firstContentMs: facts.firstContentMs } },
        snapshot: {
          maxConcurrent: facts.maxConcurrent,
          gpus: [gpu({ vramFreeBytes: facts.freeGib === null ? null : facts.freeGib * GIB })],
          holds: facts.isHeld ? [{ kind: 'gaming', cause: 'detected', sinceMs: 1, untilMs: null }] : [],
        },
      },
    ),
  );

const anyQuestion = fc.record({
  nodes: fc.nat(5).chain((count) => fc.tuple(...['a', 'b', 'c', 'd', 'e'].slice(0, count).map(anyNode))),
  target: fc.record({
    model: fc.constantFrom('m', 'm:latest', 'n', 'auto', 'unheard-of'),
    capabilities: fc.constantFrom([], ['chat'] as const, ['chat', 'vision'] as const),
    contextTokens: fc.constantFrom(0, 4_096),
  }),
  excluded: fc.subarray(['node_a', 'node_c']).map((ids) => new Set(ids)),
  affinity: fc.constantFrom(null, 'node_a', 'node_b'),
  needsAlone: fc.boolean(),
  queued: fc.nat(5),
  nowMs: fc.constant(NOW_MS),
});

const always = (holds: (question: PlacementQuestion, placement: Placement) => void) =>
  fc.assert(
    fc.property(anyQuestion, (question) => holds(question, place(question))),
    { numRuns: 500 },
  );

describe('whatever the fleet looks like', () => {
  it('nothing that was refused is picked', () => {
    always(({ nodes, excluded }, { decision, refusals }) => {
      if (!('candidate' in decision)) return;
      const { nodeId, model: id } = decision.candidate;
      expect(refusals.some((refusal) => refusal.nodeId === nodeId && refusal.model === id)).toBe(false);
      const picked = nodes.find((other) => other.nodeId === nodeId);
      expect(picked).toMatchObject({ liveness: 'alive', isReserved: false, snapshot: { holds: [] } });
      expect(excluded.has(nodeId)).toBe(false);
    });
  });

  it('a slot is only given where one is free, and only a cold model is loaded', () => {
    always(({ nodes }, { decision }) => {
      if (!('candidate' in decision)) return;
      const { nodeId, model: id } = decision.candidate;
      const picked = nodes.find((other) => other.nodeId === nodeId);
      const state = picked?.snapshot.models.find((other) => other.id === id)?.state;
      const slots = picked?.snapshot.models.find((other) => other.id === id)?.slots ?? 0;
      if (decision.kind !== 'run') expect(['cold', 'failed']).toContain(state);
      else {
        expect(state).toBe('warm');
        expect(picked?.leased.byModel.get(id) ?? 0).toBeLessThan(slots);
        expect(picked?.leased.total).toBeLessThan(picked?.snapshot.maxConcurrent ?? 0);
      }
    });
  });

  it('every model that is meant is either a candidate or refused, once', () => {
    always(({ nodes }, { candidates, refusals }) => {
      const named = [...candidates, ...refusals.filter(({ model: id }) => id !== null)].map(
        (entry) => `${entry.nodeId} ${entry.model}`,
      );
      expect(new Set(named).size).toBe(named.length);
      const ids = new Set([...candidates, ...refusals].map(({ nodeId }) => nodeId));
      expect([...ids].sort()).toEqual(nodes.map(({ nodeId }) => nodeId).sort());
    });
  });

  it('the candidates stand in order, best first', () => {
    always((_, { candidates }) => {
      const times = candidates.map(({ expectedMs }) => expectedMs);
      for (const time of times) expect(Number.isFinite(time)).toBe(true);
      expect(times).toEqual([...times].sort((a, b) => a - b));
    });
  });

  it('nothing is impossible while there is a candidate, or while nobody is there', () => {
    always(({ nodes }, { decision, candidates }) => {
      const hasHope = candidates.length > 0 || nodes.length === 0;
      expect(hasHope ? ['run', 'load', 'drain', 'wait'] : ['wait', 'failing', 'never']).toContain(decision.kind);
    });
  });

  it('a failure is told when a load has failed, and nobody who is here could do better', () => {
    always((_, { decision, refusals }) => {
      if (decision.kind !== 'failing') return;
      const reasons = new Set(refusals.map(({ reason }) => reason));
      expect(reasons).toContain(decision.code);
      for (const reason of reasons)
        expect(LASTING.has(reason) || ['offline', 'load_failed', 'out_of_memory'].includes(reason)).toBe(true);
    });
  });

  it('the same question has the same answer, and changes nothing', () => {
    always((question, placement) => {
      const before = JSON.stringify(question.nodes);
      expect(place(question)).toEqual(placement);
      expect(JSON.stringify(question.nodes)).toBe(before);
    });
  });

  it('the order in which nodes and models come does not matter', () => {
    always((question, placement) => {
      const turned = question.nodes
        .map((other) => ({ ...other, snapshot: { ...other.snapshot, models: [...other.snapshot.models].reverse() } }))
        .reverse();
      const { decision, candidates, refusals } = place({ ...question, nodes: turned });
      expect({ decision, candidates }).toEqual({ decision: placement.decision, candidates: placement.candidates });
      expect(new Set(refusals.map((refusal) => JSON.stringify(refusal)))).toEqual(
        new Set(placement.refusals.map((refusal) => JSON.stringify(refusal))),
      );
    });
  });
});

describe('a simulated model', () => {
  const mock = (name = 'mock') =>
    node(name, [model('m', { runtime: 'mock' })], {
      snapshot: {
        runtimes: [{ kind: 'mock', version: null, state: 'ready', mode: 'owned', isSimulated: true, detail: null }],
      },
    });
  const auto = { target: target({ model: 'auto' }) };

  it.each<[string, Nodes, Partial<PlacementQuestion>, string]>([
    ['serves alone', [mock()], {}, 'run mock m'],
    ['leaves the request to a real one that is slower', [mock(), node('a', [cold()])], {}, 'load a m'],
    [
      'leaves `auto` to a real one',
      [mock(), node('a', [model('other')], learned({ firstContentMs: 9_000 }))],
      auto,
      'run a other',
    ],
    ['leaves it to one that is busy', [mock(), node('a', [model('m')], busy)], {}, 'wait'],
    ['leaves it to one that is held', [mock(), node('a', [model('m')], held)], {}, 'wait'],
    ['leaves it to one that failed this request', [mock(), node('a', [model('m')])], { excluded: new Set(['node_a']) }, 'wait'],
    ['does not hide that the real one cannot be loaded', [mock(), node('a', [cold()], barred)], {}, 'failing load_failed'],
    ['stands in for a real one that is not connected', [mock(), node('a', [model('m')], { liveness: 'dead' })], {}, 'run mock m'],
    ['stands in for one that has other models', [mock(), node('a', [model('other')])], {}, 'run mock m'],
    ['stands in for one that cannot do it', [mock(), node('a', [model('m', { capabilities: ['embedding'] })])], {}, 'run mock m'],
  ])('%s', (_, nodes, question, decision) => {
    expect(said(ask(nodes, question))).toBe(decision);
    expect(said(ask([...nodes].reverse(), question))).toBe(decision);
  });

  it('is refused with the reason', () => {
    expect(ask([mock(), node('a', [model('m')])]).refusals).toMatchObject([{ nodeName: 'mock', reason: 'simulated' }]);
  });
});
