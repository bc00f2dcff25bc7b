import { runCommand } from './command.ts';
import { frontAppSighting, parseFrontApp, ruleSighting } from './foreground-text.ts';
import { type ForegroundEnv, type ForegroundWatch, onlyNews, type Sighting } from './foreground-watch.ts';
import { startPoll } from './poll.ts';

const LOOK_WITHIN_MS = 3_000;

/**
 * The application in front, when its category is a game's: what macOS' own Game Mode goes by, which itself cannot be asked. Needs the
 * user's session (a LaunchAgent). A game in the background does not count: it is paused. Not run on a real Mac yet.
 */
export function startMacForeground(env: ForegroundEnv): ForegroundWatch {
  const tell = onlyNews(env.onSightings);
  let trouble: string | null = null;
  const ask = async (file: string, args: readonly string[], signal: AbortSignal): Promise<string> => {
    const outcome = await runCommand({ file, args, deadlineMs: LOOK_WITHIN_MS, signal });
    if (outcome.kind !== 'ran') throw new Error(`${file} ${outcome.kind === 'missing' ? 'is missing' : outcome.reason}`);
    return outcome.stdout;
  };
  const poll = startPoll({
    everyMs: env.everyMs,
    deadlineMs: LOOK_WITHIN_MS * 3,
    onTrouble: (reason) => {
      trouble = reason;
    },
    sample: async (signal) => {
      const sightings: Sighting[] = [];
      const games = env.games();
      if (games.length > 0) {
        for (const line of (await ask('ps', ['-axo', 'pid=,comm='], signal)).split('\n')) {
          const [, pid, command] = /^\s*(\d+)\s+(.*)$/.exec(line) ?? [];
          const rule = command === undefined ? null : ruleSighting(games, Number(pid), command);
          if (rule) sightings.push(rule);
        }
      }
      const front = parseFrontApp(await ask('lsappinfo', ['front'], signal));
      if (front !== null) {
        const info = await ask('lsappinfo', ['info', '-only', 'LSApplicationCategoryType,LSDisplayName,pid', front], signal);
        const sighting = frontAppSighting(info);
        if (sighting) sightings.push(sighting);
      }
      tell(sightings);
    },
  });
  return { trouble: () => trouble, close: () => poll.close() };
}
