import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LoadOrder, LoadReport, LoadResult, LoadSpec } from './load-spec.ts';
import { startProgram } from './program.ts';

const GRACE_MS = 60_000;

export interface Load {
  /** Rejects when the load generator itself is broken; trouble with the target is in the result. */
  run(spec: LoadSpec): Promise<LoadResult>;
  stop(): Promise<void>;
}

export const startLoad = async (folder: string): Promise<Load> => {
  const program = await startProgram({
    command: [process.execPath, fileURLToPath(new URL('./load.ts', import.meta.url))],
    side: 'load',
    logFile: join(folder, 'load.log'),
    hasChannel: true,
  });
  const { child } = program;
  let last = 0;
  return {
    stop: program.stop,
    run: (spec) =>
      new Promise((resolve, reject) => {
        last += 1;
        const order: LoadOrder = { kind: 'run', id: last, spec };
        const finish = (error: Error | null, result?: LoadResult) => {
          clearTimeout(timer);
          child.off('message', take);
          child.off('exit', die);
          if (result) resolve(result);
          else reject(error);
        };
        const take = (report: LoadReport) => {
          if (report.id !== order.id) return;
          if (report.kind === 'done') finish(null, report.result);
          else finish(new Error(`the load generator: ${report.reason}`));
        };
        const die = () => finish(new Error(`the load generator ended by itself: ${program.words().slice(-500)}`));
        const timer = setTimeout(() => finish(new Error('the load generator did not come to an end')), limitMs(spec));
        child.on('message', take);
        child.once('exit', die);
        child.send(order);
      }),
  };
};

const limitMs = ({ pattern, tokens, tps }: LoadSpec): number =>
  GRACE_MS + (pattern.kind === 'held' ? pattern.windowMs : pattern.durationMs) + (tps > 0 ? (2_000 * tokens) / tps : 0);
