import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { ErrorCode } from '@lai/shared/errors';
import { saysOutOfMemory } from './engine-error.ts';
import { type EngineHandle, RuntimeError } from './runtime.ts';

/** These say that it failed and not why. */
const UNEXPLAINED: readonly ErrorCode[] = ['load_failed', 'engine_crashed', 'engine_error', 'engine_unreachable'];
/** What an engine prints comes by another way than what it answers, and later: llama-server's models print through their router. */
const LISTEN_ON_MS = 250;
/** Ended by a signal that we did not send and that leaves no time for a word, as the engine's keeper or a shell puts it. */
const KILLED = /was ended by SIGKILL|ended with exit code 137/;

/**
 * Loads. A failure that explains nothing is `out_of_memory` when what the engine printed since the load began says so, or when the kernel
 * killed for want of memory meanwhile: a model of llama-server that ends so has exit code 1 and no last words, as after any other end.
 * Engines that are not ours are not heard, and their failures stay as they are.
 */
export const explainedLoad = async (options: {
  load: () => Promise<void>;
  /** Null: the engine is somebody else's. */
  engine: Pick<EngineHandle, 'listen'> | null;
  /** True for lines about other models of the engine. */
  isOthers?: (line: string) => boolean;
  readOomKills?: () => Promise<number>;
}): Promise<void> => {
  const { load, engine, isOthers = () => false, readOomKills = kernelOomKills } = options;
  if (!engine) return load();
  const heard = engine.listen();
  const killsBefore = await readOomKills();
  try {
    await load();
  } catch (error) {
    if (!(error instanceof RuntimeError) || !UNEXPLAINED.includes(error.code)) throw error;
    await pause(LISTEN_ON_MS);
    const said = heard().findLast((line) => !isOthers(line) && (saysOutOfMemory(line) || KILLED.test(line)));
    const reason = said ?? ((await readOomKills()) > killsBefore ? 'the kernel killed for want of memory' : undefined);
    if (reason === undefined) throw error;
    throw new RuntimeError('out_of_memory', `${error.detail}: ${reason}`, { cause: error });
  }
};

/** Since the machine started, in whatever container. 0 where the kernel does not count (other systems than Linux). */
const kernelOomKills = async (): Promise<number> =>
  Number(/^oom_kill (\d+)$/m.exec(await readFile('/proc/vmstat', 'utf8').catch(() => ''))?.[1] ?? 0);
