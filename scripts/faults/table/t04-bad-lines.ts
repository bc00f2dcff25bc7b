import { type Fault, onStage } from '../fault.ts';
import { figure } from '../figures.ts';
import type { Impairment } from '../impairment.ts';
import { askInTurns, isOk, tally } from '../load.ts';
import { NODE_GONE, readLog } from '../log-lines.ts';

interface Line {
  readonly name: string;
  readonly direction: 'up' | 'down';
  readonly change: Partial<Impairment>;
  /** No node may be taken for dead and every request must be answered; the others are only told. */
  readonly mustHold: boolean;
}

const LINES: readonly Line[] = [
  { name: '10 % loss up', direction: 'up', change: { lossShare: 0.1 }, mustHold: true },
  { name: '10 % loss down', direction: 'down', change: { lossShare: 0.1 }, mustHold: true },
  { name: '30 % loss up', direction: 'up', change: { lossShare: 0.3 }, mustHold: false },
  { name: '30 % loss down', direction: 'down', change: { lossShare: 0.3 }, mustHold: false },
  { name: '300 ± 200 ms up', direction: 'up', change: { delayMs: 300, jitterMs: 200 }, mustHold: true },
  { name: '300 ± 200 ms down', direction: 'down', change: { delayMs: 300, jitterMs: 200 }, mustHold: true },
];

const modelOf = (line: number): string => `line${line}:1b`;

/**
 * Two nodes for each kind of bad line, each kind with a model of its own; a few requests at a time, for as long as it takes. At 30 % every
 * 123rd segment is lost four times in a row, which is 3 s of silence on a TCP connection: no detector that is done within 2.5 s can tell
 * that from a dead node, so there the count is told and not judged.
 */
export const badLines: Fault = {
  id: 'T4',
  title: 'one-way loss and delay',
  isPatient: true,
  unit: 'requests',
  base: 200 * LINES.length,
  least: LINES.length,
  run: (run) =>
    onStage(
      run,
      {
        nodes: 2 * LINES.length,
        models: (index) => `${modelOf(index >> 1)}=0.1GB,slots=4,tps=100,ctx=8192,caps=chat,warm`,
      },
      async (stage) => {
        const log = readLog(stage);
        for (const [index, { direction, change }] of LINES.entries())
          for (const node of stage.nodes.slice(2 * index, 2 * index + 2)) node.proxy.set(direction, change);
        const each = Math.round(run.count / LINES.length);
        const told = await Promise.all(
          LINES.map((_, line) =>
            askInTurns({
              atOnce: 2,
              isOver: (asked) => asked >= each,
              ask: (index) => stage.ask({ marker: `r-T4-${line}-${index}`, model: modelOf(line), maxTokens: 20 }),
            }),
          ),
        );
        for (const node of stage.nodes) node.proxy.set('both', { lossShare: 0, delayMs: 0, jitterMs: 0 });
        const deaths = LINES.map(
          (_, line) =>
            log.filter(
              ({ msg, name }) =>
                msg === NODE_GONE && stage.nodes.slice(2 * line, 2 * line + 2).some((node) => node.name === name),
            ).length,
        );
        const unanswered = LINES.flatMap(({ mustHold }, line) =>
          mustHold ? (told[line] ?? []).filter((one) => !isOk(one)) : [],
        );
        return {
          lost: unanswered.length,
          figures: LINES.map(({ name }, line) =>
            figure(
              `${name}: sent → first byte`,
              (told[line] ?? []).flatMap(({ sentAtMs, firstContentAtMs }) =>
                firstContentAtMs === null ? [] : [firstContentAtMs - sentAtMs],
              ),
            ),
          ),
          misses: LINES.flatMap(({ name, mustHold }, line) => [
            ...(mustHold && (deaths[line] ?? 0) > 0
              ? [`${name}: ${deaths[line]} times a node that lived was taken for dead`]
              : []),
            ...(mustHold && !(told[line] ?? []).every(isOk) ? [`${name}: ${tally(told[line] ?? [])}`] : []),
          ]),
          notes: LINES.map(({ name }, line) => `${name}: ${tally(told[line] ?? [])}; ${deaths[line]} deaths`),
        };
      },
    ),
};
