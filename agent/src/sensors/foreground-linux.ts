import { readdirSync, readFileSync } from 'node:fs';
import { runCommand } from './command.ts';
import { graphicsSightings, parseBusctlInt, programName, ruleSighting, steamAppOf } from './foreground-text.ts';
import { type ForegroundEnv, type ForegroundWatch, onlyNews, type Sighting } from './foreground-watch.ts';
import { startPoll } from './poll.ts';

const LOOK_WITHIN_MS = 3_000;
const GAMEMODE = ['com.feralinteractive.GameMode', '/com/feralinteractive/GameMode', 'com.feralinteractive.GameMode'] as const;
/** Memory that moved this much means that somebody came or went: then the card is asked who. */
const NOTABLE_BYTES = 200 * 1024 * 1024;

/**
 * Steam and the owner's rules by /proc, Feral GameMode by its bus name, other games by what they hold on an NVIDIA card. GameMode is
 * asked only while its daemon runs, because asking would start it.
 */
export function startLinuxForeground(env: ForegroundEnv): ForegroundWatch {
  const tell = onlyNews(env.onSightings);
  const programs = new ProcReader(env.procRoot);
  let lastUsedBytes = 0;
  const poll = startPoll({
    everyMs: env.everyMs,
    deadlineMs: LOOK_WITHIN_MS * 2,
    onTrouble: () => {},
    sample: async (signal) => {
      const games = env.games();
      const sightings: Sighting[] = [];
      let isGameModeThere = false;
      for (const [pid, command] of programs.read()) {
        const app = steamAppOf(command);
        if (app !== null) sightings.push({ source: 'steam', name: `Steam app ${app}`, pid });
        const rule = games.length > 0 ? ruleSighting(games, pid, command) : null;
        if (rule) sightings.push(rule);
        isGameModeThere ||= programName(command.split('\0')[0] ?? '') === 'gamemoded';
      }
      if (isGameModeThere) {
        const players = await askGameMode(env, signal);
        if (players !== null && players > 0) sightings.push({ source: 'gamemode', name: 'a game that uses GameMode', pid: null });
      }
      const probe = env.gpus();
      const usedBytes = probe.read().reduce((sum, gpu) => sum + (gpu.vramUsedBytes ?? 0), 0);
      const hasMoved = Math.abs(usedBytes - lastUsedBytes) > NOTABLE_BYTES;
      lastUsedBytes = usedBytes;
      if (probe.vendor === 'nvidia' || probe.vendor === 'amd') {
        sightings.push(...graphicsSightings(await probe.processes(hasMoved ? env.everyMs / 2 : undefined)));
      }
      tell(sightings);
    },
  });
  return { trouble: () => null, close: () => poll.close() };
}

async function askGameMode({ environment }: ForegroundEnv, signal: AbortSignal): Promise<number | null> {
  const [name, object, face] = GAMEMODE;
  const outcome = await runCommand({
    file: 'busctl',
    args: ['--user', 'get-property', name, object, face, 'ClientCount'],
    deadlineMs: LOOK_WITHIN_MS,
    signal,
    ...(environment['PATH'] === undefined ? {} : { searchPath: environment['PATH'] }),
  });
  return outcome.kind === 'ran' && outcome.exitCode === 0 ? parseBusctlInt(outcome.stdout) : null;
}

/**
 * Command lines of all processes, each read twice in its life: a process that was just forked still has its parent's. Kernel threads and
 * what other users hide have none.
 */
class ProcReader {
  readonly #root: string;
  #known = new Map<number, { command: string; reads: number }>();

  constructor(root: string) {
    this.#root = root;
  }

  read(): Iterable<readonly [number, string]> {
    const now = new Map<number, { command: string; reads: number }>();
    for (const name of readdirSync(this.#root)) {
      const pid = Number(name);
      if (!Number.isInteger(pid) || pid <= 0) continue;
      const known = this.#known.get(pid);
      now.set(pid, known && known.reads >= 2 ? known : { command: this.#commandOf(pid), reads: (known?.reads ?? 0) + 1 });
    }
    this.#known = now;
    return [...now].map(([pid, { command }]) => [pid, command] as const).filter(([, command]) => command !== '');
  }

  #commandOf(pid: number): string {
    try {
      return readFileSync(`${this.#root}/${pid}/cmdline`, 'utf8');
    } catch {
      return '';
    }
  }
}
