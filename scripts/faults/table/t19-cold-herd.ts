import { type Fault, onStage } from '../fault.ts';
import { figure } from '../figures.ts';
import { isOk, tally } from '../load.ts';

const NODES = 4;
const HERD = 200;
const LOAD_MS_PER_GB = 1_000;

/** Two hundred requests at once for a model that is loaded nowhere. */
export const coldHerd: Fault = {
  id: 'T19',
  title: `${HERD} at once for one cold model`,
  unit: 'herds',
  base: 50,
  run: (run) => {
    const models = Array.from({ length: run.count }, (_, index) => `cold${index}:1b`);
    const plan = [
      'story:1b=0.1GB,slots=4,tps=200,caps=chat,warm',
      ...models.map((name) => `${name}=1GB,slots=16,tps=0,caps=chat`),
    ];
    return onStage(
      run,
      {
        nodes: NODES,
        models: plan.join(';'),
        vramGb: () => 2 * run.count + 4,
        tuning: { coldLoadMsPerGb: LOAD_MS_PER_GB, prefillMs: 5 },
      },
      async (stage) => {
        const misses: string[] = [];
        const notes: string[] = [];
        const tookMs: number[] = [];
        let lost = 0;
        for (const model of models) {
          const told = await Promise.all(
            Array.from({ length: HERD }, (_, index) =>
              stage.ask({ marker: `r-T19-${model.split(':')[0]}-${index}`, model, maxTokens: 2 }),
            ),
          );
          const loads = (await Promise.all(stage.nodes.map(({ engine }) => engine.state()))).flatMap((state) =>
            state.models.filter(({ name }) => name === model).map((entry) => entry.loads.started),
          );
          const started = loads.reduce((sum, count) => sum + count, 0);
          if (started !== 1) misses.push(`${model}: ${started} loads (${loads.join(', ')} on the nodes)`);
          const failed = told.filter((one) => !isOk(one) && one.status !== 503);
          lost += failed.length;
          if (failed.length > 0) misses.push(`${model}: ${tally(told)}`);
          tookMs.push(...told.filter(isOk).map(({ sentAtMs, endedAtMs }) => endedAtMs - sentAtMs));
          notes.push(`${model}: ${started} load; ${tally(told)}`);
        }
        return { lost, figures: [figure(`sent → answered (the load alone takes ${LOAD_MS_PER_GB} ms)`, tookMs)], misses, notes };
      },
    );
  },
};
