import { setTimeout as pause } from 'node:timers/promises';
import type { Told } from '../asking.ts';
import type { EngineRequest } from '../farm.ts';
import { type Fault, onStage } from '../fault.ts';
import { figure } from '../figures.ts';
import { askInTurns } from '../load.ts';
import type { StageNode } from '../stage-node.ts';

const NODES = 10;
const AT_ONCE = 6;
const LATEST_MS = 500;
/** Engines keep a thousand records; they are read before that. */
const RECORDS = 900;

interface Course {
  readonly marker: string;
  leftAtMs: number;
  node: StageNode | null;
  dispatchedAtMs: number;
  attempt: string;
  canceledAtMs: number | null;
  settledAtMs: number | null;
}

/** Clients hang up at random points: before the first byte, while they read. One slot per node, so that engine and client can be matched. */
export const clientLeaves: Fault = {
  id: 'T21',
  title: 'client leaves at a random point',
  unit: 'clients',
  base: 5_000,
  run: (run) =>
    onStage(
      run,
      { nodes: NODES, models: 'story:1b=0.1GB,slots=1,tps=50,ctx=8192,caps=chat,warm', tuning: { prefillMs: 100 } },
      async (stage) => {
        const courses = new Map<string, Course>();
        const byAttempt = new Map<string, Course>();
        stage.onWire((node, event) => {
          if (event.kind === 'dispatch' && event.marker !== null) {
            const course = courses.get(event.marker);
            if (!course) return;
            Object.assign(course, { node, dispatchedAtMs: event.atMs, attempt: event.attemptId });
            byAttempt.set(event.attemptId, course);
          }
          if (event.kind === 'coordinator' && event.message.type === 'attempt.cancel') {
            const course = byAttempt.get(event.message.attemptId);
            if (course) course.canceledAtMs ??= event.atMs;
          }
          if (event.kind === 'agent' && (event.message.type === 'attempt.fail' || event.message.type === 'attempt.end')) {
            const course = byAttempt.get(event.message.attemptId);
            if (course) course.settledAtMs ??= event.atMs;
          }
        });
        const leave = async (index: number): Promise<Told> => {
          const marker = `r-T21-${index}`;
          const gone = new AbortController();
          const course: Course = {
            ...{ marker, leftAtMs: 0, node: null, dispatchedAtMs: 0, attempt: '', canceledAtMs: null, settledAtMs: null },
          };
          courses.set(marker, course);
          const asking = stage.ask({ marker, maxTokens: 400, signal: gone.signal });
          await pause(stage.random.between(0, LATEST_MS));
          course.leftAtMs = performance.now();
          gone.abort();
          return asking;
        };
        const aborts: number[] = [];
        let afterAbort = 0;
        let done = 0;
        while (done < run.count) {
          const batch = Math.min(RECORDS, run.count - done);
          const from = done;
          await askInTurns({ atOnce: AT_ONCE, isOver: (asked) => asked >= batch, ask: (index) => leave(from + index) });
          done += batch;
          await pause(300);
          for (const node of stage.nodes) {
            const { recent, tokens } = await node.engine.state(RECORDS);
            const here = [...courses.values()].filter((course) => course.node === node);
            aborts.push(...here.flatMap((course) => abortAfterMs(course, here, recent)));
            afterAbort = Math.max(afterAbort, ...recent.map((record) => record.tokensAfterAbort));
            if (tokens.afterAbort > 2 * tokens.generated) throw new Error('engines go on for nobody');
          }
          courses.clear();
        }
        const all = [...byAttempt.values()].filter(({ dispatchedAtMs, leftAtMs }) => dispatchedAtMs < leftAtMs);
        const unsettled = all.filter(({ settledAtMs }) => settledAtMs === null);
        return {
          lost: 0,
          figures: [
            figure(
              'client gone → cancel on its way to the node',
              all.flatMap(({ canceledAtMs, leftAtMs }) => (canceledAtMs === null ? [] : [canceledAtMs - leftAtMs])),
              { of: 'p99', ms: 100 },
            ),
            figure('client gone → engine has aborted', aborts, { of: 'p99', ms: 500 }),
            figure(
              'client gone → node has let go of the slot',
              all.flatMap(({ settledAtMs, leftAtMs }) => (settledAtMs === null ? [] : [settledAtMs - leftAtMs])),
              { of: 'p99', ms: 1_000 },
            ),
          ],
          misses: [
            ...(aborts.length === 0 ? ['no engine aborted anything'] : []),
            ...(unsettled.length > 0
              ? [`${unsettled.length} attempts were never told to have ended (first: ${unsettled[0]?.marker})`]
              : []),
            ...(afterAbort > 1 ? [`an engine generated ${afterAbort} tokens for nobody`] : []),
          ],
          notes: [
            `${courses.size === 0 ? run.count : courses.size} clients left; ${all.length} of them after their request had reached a node`,
          ],
        };
      },
    ),
};

/** The engine's record of this request: the first that began after it was sent there and before the next one was. */
const abortAfterMs = (course: Course, here: readonly Course[], records: readonly EngineRequest[]): number[] => {
  const nextMs = Math.min(
    ...here.filter((other) => other.dispatchedAtMs > course.dispatchedAtMs).map((other) => other.dispatchedAtMs),
  );
  const record = records.find(({ startedAtMs }) => startedAtMs >= course.dispatchedAtMs - 1 && startedAtMs < nextMs);
  if (record?.state !== 'aborted' || record.endedAfterMs === null) return [];
  return [Math.max(0, record.startedAtMs + record.endedAfterMs - course.leftAtMs)];
};
