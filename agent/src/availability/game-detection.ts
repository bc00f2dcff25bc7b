/** Something on the machine that looks like a game. */
export interface GameSign {
  /** Where it was seen, strongest first in `STRENGTH`. */
  readonly source: 'rule' | 'steam' | 'gamemode' | 'graphics' | 'foreground';
  /** For people: `Steam app 730`, `factorio`. */
  readonly name: string;
  readonly pid: number | null;
}

/** A launcher that names its game is surer than a program that draws a lot. */
const STRENGTH: readonly GameSign['source'][] = ['rule', 'steam', 'gamemode', 'graphics', 'foreground'];

/** The sign to go by; null when nothing that counts is there. Pure. Our engines draw too, where they compute with Vulkan. */
export const strongestSign = (
  signs: readonly GameSign[],
  rules: { readonly notGames: readonly string[]; readonly ownPids: ReadonlySet<number> },
): GameSign | null => {
  const counted = signs.filter(
    (sign) =>
      !(sign.pid !== null && rules.ownPids.has(sign.pid)) && !rules.notGames.some((part) => includesWord(sign.name, part)),
  );
  return STRENGTH.flatMap((source) => counted.filter((sign) => sign.source === source))[0] ?? null;
};

export const includesWord = (text: string, part: string): boolean => text.toLowerCase().includes(part.toLowerCase());

/**
 * Has a game begun, is it over? Pure.
 *
 *   clear ──sign──► suspected ──seen for enterMs──► playing ──no sign──► leaving ──for leaveMs──► clear
 *     ▲                │ no sign                       ▲──── sign ──────────┘
 *     └────────────────┘
 */
export type Detection =
  | { readonly kind: 'clear' }
  | { readonly kind: 'suspected'; readonly sinceMs: number }
  | { readonly kind: 'playing'; readonly name: string }
  | { readonly kind: 'leaving'; readonly name: string; readonly sinceMs: number };

export const noGame: Detection = { kind: 'clear' };

export const nextDetection = (
  state: Detection,
  sign: GameSign | null,
  { nowMs, enterMs, leaveMs }: { nowMs: number; enterMs: number; leaveMs: number },
): Detection => {
  switch (state.kind) {
    case 'clear':
      if (sign === null) return state;
      return enterMs === 0 ? { kind: 'playing', name: sign.name } : { kind: 'suspected', sinceMs: nowMs };
    case 'suspected':
      if (sign === null) return noGame;
      return nowMs - state.sinceMs >= enterMs ? { kind: 'playing', name: sign.name } : state;
    case 'playing':
      if (sign !== null) return sign.name === state.name ? state : { kind: 'playing', name: sign.name };
      return leaveMs === 0 ? noGame : { kind: 'leaving', name: state.name, sinceMs: nowMs };
    case 'leaving':
      if (sign !== null) return { kind: 'playing', name: sign.name };
      return nowMs - state.sinceMs >= leaveMs ? noGame : state;
  }
};

/** The game that gaming mode goes by: one that was just left still counts. */
export const gameOf = (state: Detection): string | null =>
  state.kind === 'playing' || state.kind === 'leaving' ? state.name : null;

/** When the state changes without a new sign; null when it cannot. */
export const detectionDueMs = (state: Detection, { enterMs, leaveMs }: { enterMs: number; leaveMs: number }): number | null => {
  if (state.kind === 'suspected') return state.sinceMs + enterMs;
  return state.kind === 'leaving' ? state.sinceMs + leaveMs : null;
};
