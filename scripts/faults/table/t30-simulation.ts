import { availableParallelism, setPriority } from 'node:os';
import { join } from 'node:path';
import { Program } from '../../e2e/program.ts';
import type { Fault } from '../fault.ts';
import { figure } from '../figures.ts';

const MOST_PROCESSES = 8;
/** Virtual time has time: it takes what the others leave. */
const LOWEST_PRIORITY = 19;

type Line =
  | { readonly seed: number; readonly profile: string; readonly violations: readonly string[] }
  | { readonly runs: number; readonly tookMs: number };

/** The dispatch core on virtual time (scripts/simulate): every run another fleet, another load, other faults. */
export const simulation: Fault = {
  id: 'T30',
  title: 'simulated fleets',
  isPatient: true,
  unit: 'runs',
  base: 20_000,
  run: async ({ count, random, say }) => {
    const processes = Math.min(availableParallelism(), MOST_PROCESSES, count);
    const first = random.between(1, 2 ** 31);
    const shares = Array.from({ length: processes }, (_, index) => {
      const from = Math.floor((index * count) / processes);
      return { from: first + from, runs: Math.floor(((index + 1) * count) / processes) - from };
    });
    const outputs = await Promise.all(
      shares.map(({ from, runs }) => {
        const script = join(import.meta.dirname, '..', 'simulated-runs.ts');
        const program = new Program('simulation', [script, String(from), String(runs)]);
        setPriority(program.pid, LOWEST_PRIORITY);
        const stop = () => program.kill('SIGKILL');
        process.once('exit', stop);
        return program.output().finally(() => process.off('exit', stop));
      }),
    );
    const lines = outputs.flatMap((output) =>
      output.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Line] : [])),
    );
    const bad = lines.flatMap((line) => ('seed' in line ? [line] : []));
    const runs = lines.reduce((sum, line) => sum + ('runs' in line ? line.runs : 0), 0);
    say(`${runs} runs from seed ${first}`);
    return {
      count: runs,
      lost: 0,
      figures: [
        figure(
          'one run',
          lines.flatMap((line) => ('runs' in line && line.runs > 0 ? [line.tookMs / line.runs] : [])),
        ),
      ],
      misses: bad.map(({ seed, profile, violations }) => `seed ${seed} (${profile}): ${violations.slice(0, 2).join('; ')}`),
      notes: [`seeds ${first} to ${first + count - 1}`],
    };
  },
};
