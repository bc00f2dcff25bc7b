import { existsSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { engineCacheDir } from '../../engines/cache.ts';
import { unpackDebianPackages } from '../../engines/debian.ts';
import { type Fault, onStage } from '../fault.ts';
import { figure } from '../figures.ts';
import { askAtRate, isOk, tally } from '../load.ts';

const NODES = 4;
const PER_SECOND = 15;
const SETTLE_MS = 2_500;
const HOUR_S = 3_600;
const LIBRARY = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';

const WHO = ['coordinator', 'agents'] as const;
type Who = (typeof WHO)[number];

const unpacked = (): string => join(engineCacheDir(), 'libfaketime');

const findLibrary = async (): Promise<string | null> => {
  if (existsSync(LIBRARY)) return LIBRARY;
  const library = join(unpacked(), LIBRARY);
  if (!existsSync(library))
    await unpackDebianPackages({ suite: 'bookworm', packages: ['libfaketime'], target: unpacked() }).catch(() => {});
  return existsSync(library) ? library : null;
};

let library: string | null = null;

/** The process believes the offset (seconds) in this file, and looks again every second; its monotonic clock stays true. */
const faked = (file: string): Record<string, string> => ({
  LD_PRELOAD: library ?? '',
  FAKETIME_TIMESTAMP_FILE: file,
  FAKETIME_CACHE_DURATION: '1',
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
  DONT_FAKE_MONOTONIC: '1',
});

/**
 * The clock of the coordinator, or of all agents, jumps by an hour and back, while requests run. Not Redis's: its allocator asks for the
 * time before libfaketime is ready, and it does not start.
 */
export const clockJumps: Fault = {
  id: 'T12',
  title: 'clock jumps by an hour',
  isPatient: true,
  unit: 'jumps',
  base: 24,
  least: 4,
  obstacle: async () => {
    library = process.platform === 'linux' ? await findLibrary() : null;
    return library === null ? 'libfaketime is not there (Debian: libfaketime)' : null;
  },
  run: (run) => {
    const fileOf = (who: Who) => join(run.household.folder, `clock-${who}`);
    const jump = (who: Who, offsetS: number) => {
      writeFileSync(fileOf(who), `${offsetS < 0 ? '' : '+'}${offsetS}\n`);
      utimesSync(fileOf(who), new Date(), new Date());
    };
    for (const who of WHO) jump(who, 0);
    return onStage(
      run,
      {
        nodes: NODES,
        isRedisApart: true,
        models: 'story:1b=0.1GB,slots=8,tps=100,ctx=8192,caps=chat,warm',
        env: faked(fileOf('coordinator')),
        agentEnv: faked(fileOf('agents')),
      },
      async (stage) => {
        let isOver = false;
        const asking = askAtRate({
          perSecond: PER_SECOND,
          isOver: () => isOver,
          ask: (index) => stage.ask({ marker: `r-T12-${index}`, maxTokens: 30, timeoutMs: 30_000 }),
        });
        for (let count = 0; count < run.count; count += 1) {
          const who = WHO[count % WHO.length] ?? 'coordinator';
          jump(who, count % 4 < 2 ? HOUR_S : -HOUR_S);
          await pause(SETTLE_MS);
          jump(who, 0);
          await pause(SETTLE_MS / 2);
        }
        isOver = true;
        const told = await asking;
        const failed = told.filter((one) => !isOk(one));
        return {
          lost: failed.length,
          figures: [
            figure(
              'sent → answered',
              told.filter(isOk).map(({ sentAtMs, endedAtMs }) => endedAtMs - sentAtMs),
            ),
          ],
          misses: failed.length > 0 ? [tally(told)] : [],
          notes: [`${told.length} requests: ${tally(told)}`],
        };
      },
    );
  },
};
