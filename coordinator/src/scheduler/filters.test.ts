import { describe, expect, it } from 'vitest';
import { GIB, gpu, model, NOW_MS, type NodeFacts, node, target } from './__fixtures__/fleet.ts';
import { LASTING, meant, type RefusalReason, refuseModel, refuseNode } from './filters.ts';

const hold = (kind: string, cause = 'detected') => ({ kind, cause, sinceMs: 1, untilMs: null });

describe('a node is refused', () => {
  const nobody = { excluded: new Set<string>(), needsAlone: false, overridesGaming: false };
  const gaming = (allowsForced: boolean, ...others: string[]) => ({
    snapshot: {
      holds: ['gaming', ...others].map((kind) => hold(kind)),
      gaming: { mode: 'auto' as const, setBy: 'owner', untilMs: null, isActive: true, cause: 'detected', allowsForced },
    },
  });

  it.each<[string, NodeFacts, Partial<typeof nobody>, RefusalReason | null, string]>([
    ['when all is well: never', {}, {}, null, ''],
    ['when it is not connected', { liveness: 'dead' }, {}, 'offline', 'not connected'],
    ['when it does not answer', { liveness: 'suspect' }, {}, 'suspect', 'does not answer pings'],
    ['when the request failed there', {}, { excluded: new Set(['node_a']) }, 'already_tried', 'failed this request before'],
    ['not when it failed elsewhere', {}, { excluded: new Set(['node_b']) }, null, ''],
    ['while its owner plays', { snapshot: { holds: [hold('gaming')] } }, {}, 'held', 'gaming (detected)'],
    [
      'while it is held for several reasons',
      { snapshot: { holds: [hold('gaming'), hold('draining', 'operator')] } },
      {},
      'held',
      'gaming (detected), draining (operator)',
    ],
    ['not while its owner plays, when the request is forced', gaming(true), { overridesGaming: true }, null, ''],
    ['while its owner plays and refuses forced requests', gaming(false), { overridesGaming: true }, 'held', 'gaming'],
    ['while it drains, even when the request is forced', gaming(true, 'draining'), { overridesGaming: true }, 'held', 'draining'],
    ['while its owner plays, when the request is not forced', gaming(true), {}, 'held', 'gaming'],
    [
      'while it is kept for a dangerous request',
      { isReserved: true },
      {},
      'reserved',
      'kept free for a request that may be dangerous',
    ],
    [
      'when others run there and this one must be alone',
      { leased: { m: 1 } },
      { needsAlone: true },
      'not_alone',
      'serves others',
    ],
    ['not when nobody else is there', {}, { needsAlone: true }, null, ''],
    ['not because others run there', { leased: { m: 1 } }, {}, null, ''],
    [
      'for being gone before anything else',
      { liveness: 'dead', snapshot: { holds: [hold('gaming')] } },
      {},
      'offline',
      'not connected',
    ],
  ])('%s', (_, facts, question, reason, detail) => {
    const { excluded, needsAlone, overridesGaming } = { ...nobody, ...question };
    const wanted = target(overridesGaming ? { overridesGaming } : {});
    const verdict = refuseNode(node('a', [model('m')], facts), { excluded, needsAlone, target: wanted });
    expect(verdict?.reason ?? null).toBe(reason);
    expect(verdict?.detail ?? '').toContain(detail);
  });
});

describe('a model is meant', () => {
  const here = node('a', [model('llama3:latest'), model('qwen:7b')]);

  it.each([
    ['llama3', ['llama3:latest']],
    ['llama3:latest', ['llama3:latest']],
    ['qwen', []],
    ['qwen:7b', ['qwen:7b']],
    ['auto', ['llama3:latest', 'qwen:7b']],
  ])('by %s: %j', (name, ids) => {
    expect(meant(here, target({ model: name })).map(({ id }) => id)).toEqual(ids);
  });
});

describe('a model is refused', () => {
  const verdictOf = (facts: Parameters<typeof model>[1], wanted: Parameters<typeof target>[0] = {}, around: NodeFacts = {}) => {
    const loaded = model('m', facts);
    return refuseModel(node('a', [loaded], around), loaded, target(wanted), NOW_MS);
  };
  const barFor = (id: string, untilMs: number, isTelling = true) => ({ loadBars: new Map([[id, { untilMs, isTelling }]]) });
  const barred = barFor('m', NOW_MS + 1);
  const full = { snapshot: { gpus: [gpu({ vramFreeBytes: GIB })] } };

  it.each<[string, Parameters<typeof verdictOf>, RefusalReason | null]>([
    ['when all is well: never', [{}], null],
    ['when it lacks what is needed', [{ capabilities: ['chat'] }, { capabilities: ['chat', 'vision'] }], 'capability_missing'],
    ['not for what it can do beyond', [{ capabilities: ['chat', 'vision'] }, { capabilities: ['chat'] }], null],
    ['when its context is too short', [{ contextLength: 4_096 }, { contextTokens: 4_097 }], 'context_too_short'],
    ['not when its context is just long enough', [{ contextLength: 4_096 }, { contextTokens: 4_096 }], null],
    ['not when its context is unknown', [{ contextLength: null }, { contextTokens: 1_000_000 }], null],
    ['when it takes no requests', [{ slots: 0 }], 'no_slots'],
    ['while it drains', [{ state: 'draining' }], 'unloading'],
    ['while it is unloaded', [{ state: 'unloading' }], 'unloading'],
    ['not while it is loaded', [{ state: 'loading' }], null],
    ['not when it is cold', [{ state: 'cold' }], null],
    ['not when its last load failed some time ago', [{ state: 'failed' }], null],
    ['when its last load failed lately', [{ state: 'cold' }, {}, barred], 'load_failed'],
    [
      'for a moment when its load failed for the first time',
      [{ state: 'cold' }, {}, barFor('m', NOW_MS + 1, false)],
      'load_resting',
    ],
    ['when a load ran out of memory', [{ state: 'cold' }, {}, { shortageBytes: () => 8 * GIB }], 'out_of_memory'],
    ['not when the bar has just ended', [{ state: 'cold' }, {}, barFor('m', NOW_MS)], null],
    ['not when another model is barred', [{ state: 'cold' }, {}, barFor('n', NOW_MS + 1)], null],
    ['not when it is warm after all', [{ state: 'warm' }, {}, barred], null],
    ['not while a load is under way after all', [{ state: 'cold' }, {}, { ...barred, loading: new Map([['m', NOW_MS]]) }], null],
    ['when it does not fit', [{ state: 'cold' }, {}, full], 'does_not_fit'],
    ['not when it is warm already, however full', [{ state: 'warm' }, {}, full], null],
    ['not when it is being loaded, however full', [{ state: 'cold' }, {}, { ...full, loading: new Map([['m', NOW_MS]]) }], null],
    [
      'for what it lacks before anything that passes',
      [{ capabilities: [], contextLength: 1, state: 'draining' }, { contextTokens: 9 }, full],
      'capability_missing',
    ],
  ])('%s', (_, question, reason) => {
    expect(verdictOf(...question)?.reason ?? null).toBe(reason);
  });

  it.each<[string, Parameters<typeof verdictOf>, string]>([
    ['what it lacks', [{ capabilities: ['chat'] }, { capabilities: ['chat', 'vision', 'tools'] }], 'cannot do vision, tools'],
    ['how long a context is needed', [{}, { contextTokens: 9_216 }], 'context of 4096 tokens, about 9216 needed'],
    [
      'why the load failed',
      [{ state: 'failed', failure: { code: 'out_of_memory', message: 'loading m failed', atMs: 1 } }, {}, barred],
      'loading m failed',
    ],
    ['that a load failed', [{ state: 'cold' }, {}, barred], 'loading failed lately'],
    ['how much memory there is', [{ state: 'cold', sizeBytes: 4 * GIB }, {}, full], 'needs 4.7 GiB, 1.0 GiB can be had'],
  ])('and the reason tells %s', (_, question, detail) => {
    expect(verdictOf(...question)?.detail).toBe(detail);
  });
});

describe('a reason lasts', () => {
  it('when no waiting changes it', () => {
    const table: Record<RefusalReason, boolean> = {
      no_model: true,
      not_in_step: true,
      capability_missing: true,
      context_too_short: true,
      offline: false,
      suspect: false,
      held: false,
      already_tried: false,
      no_slots: false,
      unloading: false,
      reserved: false,
      not_alone: false,
      cooling: false,
      load_resting: false,
      load_failed: false,
      out_of_memory: false,
      making_room: false,
      does_not_fit: false,
      too_large: true,
      simulated: true,
    };
    for (const [reason, isLasting] of Object.entries(table)) expect(LASTING.has(reason as RefusalReason)).toBe(isLasting);
  });
});
