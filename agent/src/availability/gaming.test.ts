import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DatedWish, decideGaming, type GamingFacts, isSameWish, minutesLeft } from './gaming.ts';
import { GamingPolicy } from './policy.ts';

const NOW = Date.UTC(2026, 10, 21, 20, 0, 30);
const wish = (mode: DatedWish['mode'], agoMs: number, forMs: number | null = null): DatedWish => ({
  mode,
  atMs: NOW - agoMs,
  untilMs: forMs === null ? null : NOW - agoMs + forMs,
});
const facts = (change: Partial<GamingFacts> = {}): GamingFacts => ({
  owner: null,
  operator: null,
  game: null,
  policy: GamingPolicy.parse({}),
  nowMs: NOW,
  local: { weekday: 6, minute: 20 * 60 },
  ...change,
});
const decide = (change: Partial<GamingFacts>) => {
  const { mode, setBy, isActive, cause } = decideGaming(facts(change));
  return `${mode} by ${setBy}: ${isActive ? cause : 'free'}`;
};
const evening = GamingPolicy.parse({ quietHours: [{ from: '18:00', to: '23:30' }] });

describe('gaming mode', () => {
  it.each<[string, Partial<GamingFacts>, string]>([
    ['is left to the machine when nobody wishes anything', {}, 'auto by default: free'],
    ['is on while a game is played', { game: 'Steam app 730' }, 'auto by default: Steam app 730'],
    ['is on when the owner says so', { owner: wish('on', 5) }, 'on by owner: owner'],
    ['is off when the owner says so, game or not', { owner: wish('off', 5), game: 'doom' }, 'off by owner: free'],
    ['is on when the operator says so', { operator: wish('on', 5) }, 'on by operator: operator'],
    ['goes by the newest wish: the owner’s', { owner: wish('off', 5), operator: wish('on', 9) }, 'off by owner: free'],
    ['goes by the newest wish: the operator’s', { owner: wish('off', 9), operator: wish('on', 5) }, 'on by operator: operator'],
    ['is the owner’s on a tie', { owner: wish('off', 5), operator: wish('on', 5) }, 'off by owner: free'],
    ['is back to the machine when the time is over', { owner: wish('on', 60, 50), game: null }, 'auto by default: free'],
    ['does not go back to an older wish then', { owner: wish('off', 60, 50), operator: wish('on', 90) }, 'auto by default: free'],
    ['is still on just before', { owner: wish('on', 60, 61) }, 'on by owner: owner'],
    [
      'can be handed back to the machine by either',
      { owner: wish('auto', 5), operator: wish('on', 9), game: 'doom' },
      'auto by owner: doom',
    ],
    ['keeps quiet hours', { policy: evening }, 'auto by default: quiet hours 18:00–23:30'],
    ['keeps no quiet hours against a wish', { policy: evening, operator: wish('off', 5) }, 'off by operator: free'],
    [
      'ignores the operator where the owner wants it so',
      { operator: wish('on', 5), policy: GamingPolicy.parse({ operator: 'ignore' }) },
      'auto by default: free',
    ],
  ])('%s', (_, change, expected) => {
    expect(decide(change)).toBe(expected);
  });

  it('says until when', () => {
    expect(decideGaming(facts({ owner: wish('on', 0, 7_200_000) })).untilMs).toBe(NOW + 7_200_000);
    expect(decideGaming(facts({ policy: evening })).untilMs).toBe(Date.UTC(2026, 10, 21, 23, 30));
    expect(decideGaming(facts({ game: 'doom' })).untilMs).toBeNull();
  });

  it('ends in the state of the last wish after 100 toggles in any order', () => {
    const modes = fc.array(fc.record({ mode: fc.constantFrom('on', 'off', 'auto'), by: fc.constantFrom('owner', 'operator') }), {
      minLength: 100,
      maxLength: 100,
    });
    fc.assert(
      fc.property(modes, fc.option(fc.constant('doom')), (toggles, game) => {
        const last: Partial<Record<string, DatedWish>> = {};
        toggles.forEach(({ mode, by }, index) => {
          last[by] = { mode: mode as DatedWish['mode'], untilMs: null, atMs: NOW - 1_000 + index };
        });
        const decision = decideGaming(facts({ owner: last['owner'] ?? null, operator: last['operator'] ?? null, game }));
        const { mode } = toggles.at(-1) ?? { mode: 'auto' };
        expect(decision.mode).toBe(mode);
        expect(decision.isActive).toBe(mode === 'on' || (mode === 'auto' && game !== null));
        expect(decision.cause === null).toBe(!decision.isActive);
      }),
    );
  });
});

describe('quiet hours', () => {
  const minute = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
  it.each<[string, string, string, string[] | undefined, number, string, number]>([
    ['now', '18:00', '23:00', undefined, 2, '20:00', 180],
    ['at their first minute', '18:00', '23:00', undefined, 2, '18:00', 300],
    ['not at their last', '18:00', '23:00', undefined, 2, '23:00', 0],
    ['not before', '18:00', '23:00', undefined, 2, '17:59', 0],
    ['over midnight, before it', '22:00', '06:00', undefined, 2, '23:00', 420],
    ['over midnight, after it', '22:00', '06:00', undefined, 3, '05:00', 60],
    ['on their day', '18:00', '23:00', ['tue'], 2, '20:00', 180],
    ['not on another', '18:00', '23:00', ['tue'], 3, '20:00', 0],
    ['after midnight they belong to the day before', '22:00', '06:00', ['tue'], 3, '05:00', 60],
    ['and not to the day it is', '22:00', '06:00', ['wed'], 3, '05:00', 0],
    ['Saturday night ends on Sunday', '22:00', '06:00', ['sat'], 0, '05:00', 60],
    ['all day', '00:00', '00:00', undefined, 1, '12:00', 720],
  ])('%s', (_, from, to, days, weekday, now, left) => {
    const [hours] = GamingPolicy.parse({ quietHours: [{ from, to, ...(days ? { days } : {}) }] }).quietHours;
    expect(hours && minutesLeft(hours, { weekday, minute: minute(now) })).toBe(left);
  });
});

it('the same words again are no new wish', () => {
  expect(isSameWish({ mode: 'on', untilMs: null, atMs: 1 }, { mode: 'on', untilMs: null })).toBe(true);
  expect(isSameWish({ mode: 'on', untilMs: null, atMs: 1 }, { mode: 'on', untilMs: 5 })).toBe(false);
  expect(isSameWish({ mode: 'on', untilMs: 9, toldUntilMs: 5, atMs: 1 }, { mode: 'on', untilMs: 5, leftMs: 3 })).toBe(true);
  expect(isSameWish(null, undefined)).toBe(true);
  expect(isSameWish(null, { mode: 'auto', untilMs: null })).toBe(false);
});
