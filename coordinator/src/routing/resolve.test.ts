import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Meaning, World } from './meaning.ts';
import { meaningOf } from './meaning.ts';
import { resolve } from './resolve.ts';
import type { Route } from './route.ts';
import { isPermit } from './stays-home.ts';
import { type Asked, asking, big, opencode, small, trialNode, trialProvider, trialWorld } from './trial-world.ts';

const household = {
  groups: { long: ['opencode'] },
  aliases: {
    'gaming-pc': { group: 'big', fallback: ['small'] },
    glm: { provider: 'opencode', model: 'glm-4.7', fallback: ['big'] },
    claude: { provider: 'opencode', model: 'claude-sonnet' },
    private: { group: 'small', home: 'only', fallback: ['opencode/glm-4.7'] },
  },
};

const routeOf = (asked: Asked, world: World): Route => {
  const resolution = resolve(asking(asked), world);
  if (resolution.kind !== 'route') throw new Error(`${asked.model} is ${resolution.kind}`);
  return resolution.route;
};
/** Names of the steps; `!` marks a step that overrides gaming mode. */
const stepsOf = (asked: Asked, world: World): string =>
  routeOf(asked, world)
    .steps.map((step) => (step.kind === 'fleet' && step.target.overridesGaming ? `${step.name}!` : step.name))
    .join(' > ');

describe('resolve', () => {
  const off = trialWorld({ rules: household });
  const on = trialWorld({ rules: household, nodes: [small, big({ isGaming: true, isHeld: true })] });
  const forced = { isForced: true };

  it.each<[string, World, Asked, string]>([
    ['auto, 500 tokens', off, {}, 'small > big > opencode > anywhere'],
    ['auto, 1,999 tokens', off, { tokens: 1_999 }, 'small > big > opencode > anywhere'],
    ['auto, 2,000 tokens', off, { tokens: 2_000 }, 'big > small > opencode > anywhere'],
    ['auto, 5,000 tokens', off, { tokens: 5_000 }, 'big > small > opencode > anywhere'],
    ['auto, 16,000 tokens', off, { tokens: 16_000 }, 'big > small > opencode > anywhere'],
    ['auto, 16,001 tokens', off, { tokens: 16_001 }, 'opencode > big > small > anywhere'],
    ['auto, complex', off, { signals: { isComplex: true } }, 'opencode > big > small > anywhere'],
    ['auto, forced', off, { signals: forced }, 'big! > small > anywhere'],
    ['auto while gaming, 500 tokens', on, {}, 'small > opencode > anywhere'],
    ['auto while gaming, 5,000 tokens', on, { tokens: 5_000 }, 'small > opencode > anywhere'],
    ['auto while gaming, 20,000 tokens', on, { tokens: 20_000 }, 'small > opencode > anywhere'],
    ['auto while gaming, forced', on, { signals: forced }, 'big! > small > anywhere'],
    ['big', off, { model: 'big' }, 'big! > small'],
    ['Big', off, { model: 'Big' }, 'big! > small'],
    ['medium', off, { model: 'medium' }, 'big > small'],
    ['medium, forced', on, { model: 'medium', signals: forced }, 'big! > small'],
    ['3090', on, { model: '3090' }, 'windows-rtx! > small'],
    ['rtx-3090', on, { model: 'rtx-3090' }, 'windows-rtx! > small'],
    ['windows-rtx', on, { model: 'windows-rtx' }, 'windows-rtx! > small'],
    ['gaming-pc', on, { model: 'gaming-pc' }, 'big > small'],
    ['gaming-pc, forced', on, { model: 'gaming-pc', signals: forced }, 'big! > small'],
    ['3070', on, { model: '3070' }, 'linux-3070'],
    ['small', on, { model: 'small' }, 'small'],
    ['fast', off, { model: 'fast' }, 'small'],
    ['glm', off, { model: 'glm' }, 'opencode > big > small'],
    ['claude', off, { model: 'claude' }, 'opencode'],
    ['opencode', off, { model: 'opencode' }, 'opencode'],
    ['opencode/glm-4.7', off, { model: 'opencode/glm-4.7' }, 'opencode'],
    ['a model', on, { model: 'qwen3:8b' }, 'qwen3:8b'],
    ['a model at a node', off, { model: 'qwen3:8b@windows-rtx' }, 'windows-rtx'],
    ['a model at a group', off, { model: 'qwen3:8b@small' }, 'small'],
    ['no model', off, { model: '' }, 'small > big > opencode > anywhere'],
    ['private', off, { model: 'private' }, 'small'],
    [
      'a list of models',
      off,
      { model: 'qwen3:8b', signals: { models: ['qwen3:8b', 'glm', 'nonsense'] } },
      'qwen3:8b > opencode > big > small',
    ],
    ['a list without a model', off, { model: '', signals: { models: ['glm', 'small'] } }, 'opencode > big > small'],
  ])('sends %s to its steps in order', (_name, world, asked, steps) => {
    expect(stepsOf(asked, world)).toBe(steps);
  });

  it('leaves out `long` when nothing is called so', () => {
    expect(stepsOf({ tokens: 20_000 }, trialWorld({ providers: [] }))).toBe('big > small > anywhere');
  });

  it('takes one node as small and big alike, and names the place once', () => {
    expect(stepsOf({ tokens: 5_000 }, trialWorld({ nodes: [small], providers: [] }))).toBe('big');
  });

  it('reaches nodes outside all groups last', () => {
    const mac = trialNode({ name: 'mac-m1', memoryBytes: 16e9 });
    expect(stepsOf({}, trialWorld({ nodes: [small, mac, big()], providers: [] }))).toBe('small > big > anywhere');
  });

  it.each<[string, Asked, string]>([
    ['a capability', { capabilities: ['chat', 'vision'] }, 'capability_missing'],
    ['the context', { contextTokens: 300_000 }, 'context_too_short'],
  ])('skips steps that lack %s, and says so', (_name, asked, reason) => {
    const route = routeOf({ tokens: 500, ...asked }, off);
    expect(route.steps).toEqual([]);
    expect(new Set(route.skipped.map((step) => step.reason))).toEqual(new Set([reason]));
  });

  it('never falls from a chat request to an embedding model', () => {
    const embedder = trialNode({ name: 'embedder', models: [{ id: 'embed', capabilities: ['embedding'], contextLength: 512 }] });
    const world = trialWorld({ nodes: [small, embedder], rules: { models: { 'qwen3:8b': { fallback: ['embed'] } } } });
    expect(stepsOf({ model: 'qwen3:8b' }, world)).toBe('qwen3:8b');
  });

  it('ends chains that go in a circle', () => {
    const rules = { aliases: { a: { models: ['b'], fallback: ['a'] }, b: { models: ['a', 'small'], fallback: ['b', 'big'] } } };
    expect(stepsOf({ model: 'a' }, trialWorld({ rules }))).toBe('small > big');
  });

  it('lets an alias be called like its own model', () => {
    const rules = { aliases: { 'qwen3:8b': { models: ['qwen3:8b'], fallback: ['opencode/glm-4.7'] } } };
    expect(stepsOf({ model: 'qwen3:8b' }, trialWorld({ rules }))).toBe('qwen3:8b > opencode');
  });

  it('has at most five steps', () => {
    const providers = Array.from({ length: 8 }, (_, index) => trialProvider({ id: `p${index}` }));
    const route = routeOf(
      { model: 'all' },
      trialWorld({ providers, rules: { aliases: { all: { provider: 'p0', fallback: providers.map(({ id }) => id) } } } }),
    );
    expect(route.steps).toHaveLength(5);
    expect(route.skipped.map((step) => step.reason)).toEqual(['too_many_steps', 'too_many_steps', 'too_many_steps']);
  });

  it('takes the caller’s own provider, then the environment’s default, before the rules for `auto`', () => {
    const caller = { defaultProvider: { providerId: 'opencode', model: null } };
    const world = trialWorld({ rules: household, environmentDefault: 'small' });
    expect(stepsOf({ caller }, world)).toBe('opencode');
    expect(stepsOf({}, world)).toBe('small');
    expect(stepsOf({ model: 'big', caller }, world)).toBe('big! > small');
  });

  it('skips models that the caller may not use', () => {
    const route = routeOf({ model: 'qwen3:8b', caller: { mayUse: () => false } }, off);
    expect(route.skipped).toMatchObject([{ reason: 'model_not_allowed' }]);
  });

  it('orders steps by price when asked for the cheapest, unknown prices last', () => {
    const priced = (id: string, inputPrice: number | null) =>
      trialProvider({
        id,
        models: [{ id: 'm', capabilities: ['chat'], contextLength: null, inputPrice, outputPrice: inputPrice, isFree: false }],
        defaultModel: 'm',
      });
    const world = trialWorld({ providers: [priced('dear', 9), priced('unknown', null), priced('cheap', 1)] });
    const signals = { models: ['dear', 'unknown', 'cheap', 'small'], prefer: 'cheapest' as const };
    expect(stepsOf({ model: '', signals }, world)).toBe('small > cheap > dear > unknown');
  });

  it.each([
    [
      'a GPU that two nodes have',
      trialWorld({ nodes: [big(), big({ nodeId: 'id-2', name: 'other-3090' })] }),
      '3090',
      'ambiguous',
    ],
    ['a name that nothing has', off, 'qwen4:8b', 'unknown'],
  ])('refuses %s', (_name, world, asked, kind) => {
    expect(resolve(asking({ model: asked }), world).kind).toBe(kind);
  });

  it('names the closest names for one that nothing has', () => {
    expect(meaningOf('qwen3:8c', off)).toEqual<Meaning>({ kind: 'unknown', closest: ['qwen3:8b'] });
  });
});

describe('resolve, for requests that stay home', () => {
  const names = [
    'auto',
    'small',
    'big',
    'glm',
    'claude',
    'private',
    'opencode',
    'qwen3:8b',
    'shared-cloud',
    'home-engine',
    'loop',
  ];
  const rules = fc.record({
    home: fc.constantFrom<'only' | 'allowed'>('only', 'allowed'),
    aliasHome: fc.constantFrom<'only' | 'allowed'>('only', 'allowed'),
    fallback: fc.array(fc.constantFrom(...names), { maxLength: 5 }),
  });
  const providers = [opencode, trialProvider({ id: 'shared-cloud' }), trialProvider({ id: 'home-engine', place: 'home' })];

  it('have no step at a cloud provider, and every provider step has a permit', () => {
    fc.assert(
      fc.property(
        ...([
          rules,
          fc.boolean(),
          fc.boolean(),
          fc.constantFrom(...names),
          fc.array(fc.constantFrom(...names), { maxLength: 4 }),
          fc.integer({ min: 0, max: 40_000 }),
        ] as const),
        ({ home, aliasHome, fallback }, isKeyHome, isHeaderHome, model, models, tokens) => {
          const world = trialWorld({
            providers,
            rules: {
              home,
              groups: { long: ['opencode', 'home-engine'] },
              aliases: {
                ...household.aliases,
                loop: { models: fallback.length > 0 ? fallback : ['auto'], fallback: ['loop', ...fallback], home: aliasHome },
              },
              models: { 'qwen3:8b': { fallback, home: aliasHome } },
            },
          });
          const route = routeOf(
            { model, tokens, caller: { staysHome: isKeyHome }, signals: { staysHome: isHeaderHome, models } },
            world,
          );
          const first = models.length > 0 && model === '' ? models[0] : model;
          const isOnly =
            home === 'only' ||
            isKeyHome ||
            isHeaderHome ||
            first === 'private' ||
            (aliasHome === 'only' && (first === 'loop' || first === 'qwen3:8b'));
          const cloud = route.steps.filter((step) => step.kind === 'provider' && step.place === 'cloud');
          if (isOnly) expect(cloud).toEqual([]);
          for (const step of route.steps) if (step.kind === 'provider') expect(isPermit(step.permit)).toBe(true);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('do not take a value that only looks like a permit', () => {
    expect(isPermit({})).toBe(false);
    expect(isPermit(null)).toBe(false);
  });
});
