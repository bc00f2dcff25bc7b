import { type Fault, onStage } from '../fault.ts';
import { figure } from '../figures.ts';
import { askAtRate, isOk, tally } from '../load.ts';
import type { Stage } from '../stage.ts';

const NODES = 10;
const POISONS = 100;
const POISONS_PER_SECOND = 20;
const INNOCENTS = 1_000;
const INNOCENTS_PER_SECOND = 125;
const MOST_ENGINES = 2;
const INNOCENTS_ANSWERED = 0.999;

/** A request that kills every engine it reaches is sent a hundred times among a thousand innocents. */
export const poison: Fault = {
  id: 'T18',
  title: 'poison request among innocents, 10 engines',
  unit: 'poisons',
  base: 20,
  run: (run) =>
    onStage(
      run,
      { nodes: NODES, models: 'story:1b=0.1GB,slots=8,tps=400,ctx=8192,caps=chat,warm', tuning: { prefillMs: 40 } },
      async (stage) => {
        const deaths: number[] = [];
        const misses: string[] = [];
        const notes: string[] = [];
        const innocentMs: number[] = [];
        let lost = 0;
        for (let round = 1; round <= run.count; round += 1) {
          const text = `deadly-${run.random.between(0, 2 ** 31)}`;
          await Promise.all(stage.nodes.map(({ engine }) => engine.arm({ kind: 'poison', text, times: 0, scope: 'runner' })));
          const before = await crashes(stage);
          const [poisoned, innocents] = await Promise.all([
            askAtRate({
              perSecond: POISONS_PER_SECOND,
              isOver: (asked) => asked >= POISONS,
              // The marker is no part of what makes it the same request, so it stays the same.
              ask: (index) =>
                stage.ask({
                  marker: `r-T18-${round}-p${index}`,
                  prompt: `Say ${text}.`,
                  promptMarker: `r-T18-${round}-p`,
                  maxTokens: 8,
                }),
            }),
            askAtRate({
              perSecond: INNOCENTS_PER_SECOND,
              isOver: (asked) => asked >= INNOCENTS,
              ask: (index) => stage.ask({ marker: `r-T18-${round}-i${index}`, maxTokens: 3 }),
            }),
          ]);
          const after = await crashes(stage);
          const dead = after.filter((count, index) => count > (before[index] ?? 0)).length;
          const crashed = after.reduce((sum, count, index) => sum + count - (before[index] ?? 0), 0);
          deaths.push(dead);
          const failed = innocents.filter((one) => !isOk(one));
          lost += failed.length;
          innocentMs.push(...innocents.map(({ sentAtMs, endedAtMs }) => endedAtMs - sentAtMs));
          if (crashed > MOST_ENGINES) misses.push(`round ${round}: ${crashed} crashes of ${dead} engines by one request`);
          if (failed.length > (1 - INNOCENTS_ANSWERED) * INNOCENTS) misses.push(`round ${round}, innocents: ${tally(innocents)}`);
          if (poisoned.some(isOk)) misses.push(`round ${round}: a poisoned request was answered`);
          notes.push(`round ${round}: ${crashed} crashes; poisoned: ${tally(poisoned)}; innocents: ${tally(innocents)}`);
          await Promise.all(stage.nodes.map(({ engine }) => engine.clearFaults()));
        }
        return { lost, figures: [figure('innocent request: sent → ended', innocentMs)], misses, notes };
      },
    ),
};

const crashes = (stage: Stage): Promise<number[]> =>
  Promise.all(
    stage.nodes.map(async ({ engine }) => (await engine.state()).models.reduce((sum, model) => sum + model.crashes, 0)),
  );
