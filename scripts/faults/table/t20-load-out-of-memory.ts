import { type Fault, onStage } from '../fault.ts';
import { figure } from '../figures.ts';
import { describeEnding } from '../load.ts';
import type { StageNode } from '../stage-node.ts';

/** Two alike, one smaller, one larger. */
const VRAM_GB = [8, 8, 6, 12] as const;
const AT_ONCE = 5;

/**
 * A model does not fit, although its size says it should: the load runs out of memory wherever it is tried. After the first time nobody
 * tries it where there is as little room or less.
 */
export const loadOutOfMemory: Fault = {
  id: 'T20',
  title: 'load runs out of memory',
  unit: 'models',
  base: 100,
  run: (run) => {
    const models = Array.from({ length: run.count }, (_, index) => `big${index}:1b`);
    const plan = [
      'story:1b=0.1GB,slots=4,tps=200,caps=chat,warm',
      ...models.map((name) => `${name}=2GB,slots=4,tps=0,caps=chat`),
    ];
    return onStage(
      run,
      {
        nodes: VRAM_GB.length,
        runtime: 'ollama',
        models: plan.join(';'),
        vramGb: (index) => VRAM_GB[index] ?? 8,
        tuning: { coldLoadMsPerGb: 50 },
      },
      async (stage) => {
        const tries = new Map<string, StageNode[]>();
        stage.onWire((node, event) => {
          if (event.kind !== 'coordinator' || event.message.type !== 'model.load') return;
          tries.set(event.message.model, [...(tries.get(event.message.model) ?? []), node]);
        });
        for (const { engine } of stage.nodes) for (const model of models) await engine.arm({ kind: 'oom', model, times: 0 });
        const tookMs: number[] = [];
        const endings = new Set<string>();
        const waiting = [...models];
        const tryNext = async (): Promise<void> => {
          for (let model = waiting.shift(); model !== undefined; model = waiting.shift()) {
            const told = await stage.ask({ marker: `r-T20-${model.split(':')[0]}`, model, maxTokens: 2, timeoutMs: 2_000 });
            endings.add(describeEnding(told));
            tookMs.push(told.endedAtMs - told.sentAtMs);
          }
        };
        await Promise.all(Array.from({ length: AT_ONCE }, tryNext));
        const vramOf = (node: StageNode) => VRAM_GB[stage.nodes.indexOf(node)] ?? 0;
        const wrong = models.flatMap((model) => {
          const sizes = (tries.get(model) ?? []).map(vramOf);
          const isGrowing = sizes.every((size, place) => place === 0 || size > (sizes[place - 1] ?? 0));
          return isGrowing ? [] : [`${model} was tried on nodes of ${sizes.join(', then ')} GB`];
        });
        const untried = models.filter((model) => !tries.has(model));
        return {
          lost: 0,
          figures: [figure('sent → told (limit of the request: 2 s)', tookMs, { of: 'p99', ms: 3_000 })],
          misses: [...wrong.slice(0, 5), ...(untried.length > 0 ? [`${untried.length} models were never tried`] : [])],
          notes: [
            `loads per model: ${(models.reduce((sum, model) => sum + (tries.get(model)?.length ?? 0), 0) / models.length).toFixed(2)}; requests ended as: ${[...endings].join(', ')}`,
          ],
        };
      },
    );
  },
};
