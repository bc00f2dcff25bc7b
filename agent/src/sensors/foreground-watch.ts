import type { DesktopView } from './desktop-reports.ts';
import type { GpuProbe } from './gpu-probe.ts';

/** Something on this machine that may be a game; availability/ decides. */
export type Sighting = {
  source: 'rule' | 'steam' | 'gamemode' | 'graphics' | 'foreground';
  /** For people: `Steam app 730`, `factorio`. */
  name: string;
  pid: number | null;
};

export type ForegroundEnv = {
  platform: NodeJS.Platform;
  environment: Readonly<Record<string, string | undefined>>;
  gpus: () => GpuProbe;
  /** Parts of program names that always count, by the owner's rules; asked at each look. */
  games: () => readonly string[];
  everyMs: number;
  /** What sessions that we cannot see into tell of themselves; null when none does. */
  desktop: () => DesktopView | null;
  /** Where Linux mounts proc: `/proc`. */
  procRoot: string;
  onSightings: (sightings: readonly Sighting[]) => void;
};

export type ForegroundWatch = {
  /** Says why this machine cannot tell, for people; null when it can. */
  trouble(): string | null;
  close(): Promise<void>;
};

/** A game takes longer than this to load; looking more often would only cost. */
export const LOOK_EVERY_MS = 4_000;

/** Only news is told. */
export const onlyNews = (tell: (sightings: readonly Sighting[]) => void): ((sightings: readonly Sighting[]) => void) => {
  let last = '[]';
  return (sightings) => {
    const now = JSON.stringify(sightings);
    if (now === last) return;
    last = now;
    tell(sightings);
  };
};
