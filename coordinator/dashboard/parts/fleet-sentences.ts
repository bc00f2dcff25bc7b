import type { FleetCounts, FleetNode } from '@lai/shared/fleet-api';
import { commas, plural } from './format.ts';
import { type Mark, nodeState } from './node-state.ts';

export interface Sentence {
  readonly mark: Mark;
  readonly text: string;
  /** The machine that it is about. */
  readonly nodeId: string | null;
}

/** Members of the fleet: those that were shut out are history. */
export const members = (nodes: readonly FleetNode[]): FleetNode[] => nodes.filter(({ entry }) => entry.state !== 'revoked');

const RANK: Record<Mark, number> = { bad: 0, wait: 1, game: 2, off: 3, ok: 4 };
const MOST_SENTENCES = 3;

/** Is it all right? In sentences, the worst first. Pure. */
export const fleetSentences = (nodes: readonly FleetNode[], counts: FleetCounts, nowMs: number): Sentence[] => {
  const all = members(nodes).map((node) => ({ node, state: nodeState(node, nowMs) }));
  if (all.length === 0) return [{ mark: 'off', text: 'No machine has joined yet.', nodeId: null }];
  const troubled = all.filter(({ state }) => state.mark !== 'ok').sort((a, b) => RANK[a.state.mark] - RANK[b.state.mark]);
  const working = all.filter(({ state }) => state.works).length;
  const sentences: Sentence[] = troubled.slice(0, MOST_SENTENCES).map(({ node, state }) => ({
    ...{ mark: state.mark, nodeId: node.entry.id },
    text: `${node.entry.name} ${state.predicate}.`,
  }));
  const left = troubled.length - sentences.length;
  if (left > 0)
    sentences.push({
      mark: 'wait',
      text: `${plural(left, 'more machine')} ${left === 1 ? 'needs' : 'need'} a look.`,
      nodeId: null,
    });
  if (counts.redis === 'down') {
    const text = 'Redis is away: requests wait, and what is shown here may be old.';
    sentences.unshift({ mark: 'bad', text, nodeId: null });
  }
  if (troubled.length === 0 && counts.redis === 'up') {
    const [only] = all;
    const many = all.length === 2 ? 'Both machines are up.' : `All ${all.length} machines are up.`;
    const text = all.length === 1 && only ? `${only.node.entry.name} is up.` : many;
    sentences.push({ mark: 'ok', text, nodeId: null });
  } else if (working > 0) sentences.push({ mark: 'ok', text: `${working} of ${all.length} machines take work.`, nodeId: null });
  sentences.push({ mark: counts.waiting > 0 ? 'wait' : 'ok', text: workSentence(counts), nodeId: null });
  return sentences;
};

const workSentence = ({ running, waiting }: FleetCounts): string => {
  if (waiting > 0)
    return `${plural(running, 'request')} ${running === 1 ? 'runs' : 'run'}, ${waiting} ${waiting === 1 ? 'waits' : 'wait'}.`;
  return running > 0 ? `${plural(running, 'request')} ${running === 1 ? 'runs' : 'run'}, nothing waits.` : 'Nothing waits.';
};

export interface Attention {
  readonly id: string;
  readonly mark: Mark;
  readonly text: string;
  readonly nodeId: string;
}

const LOW_DISK_BYTES = 5 * 1024 ** 3;

/** What somebody should do something about, beside the machines' own state. Pure. */
export const attention = (nodes: readonly FleetNode[]): Attention[] =>
  members(nodes).flatMap(({ entry: { id: nodeId, name, state }, report }) => {
    const failed = (report?.models ?? []).filter((model) => model.state === 'failed');
    return [
      ...(state === 'pending'
        ? [{ id: `${nodeId} approve`, mark: 'wait' as const, text: `${name} waits for approval.`, nodeId }]
        : []),
      ...failed.map((model) => ({
        ...{ id: `${nodeId} ${model.id}`, mark: 'bad' as const, nodeId },
        text: `${model.id} failed on ${name}${model.failure ? `: ${model.failure.message}` : '.'}`,
      })),
      ...(report?.preemption?.step === 'stuck'
        ? [
            {
              id: `${nodeId} stuck`,
              mark: 'bad' as const,
              text: `${name} could not free its GPU: ${stuckDetail(report.preemption.steps)}`,
              nodeId,
            },
          ]
        : []),
      ...(report && report.modelDiskFreeBytes !== null && report.modelDiskFreeBytes < LOW_DISK_BYTES
        ? [
            {
              id: `${nodeId} disk`,
              mark: 'wait' as const,
              text: `The disk of ${name} is nearly full: no new model fits.`,
              nodeId,
            },
          ]
        : []),
    ];
  });

const stuckDetail = (steps: readonly { step: string; detail: string | null }[]): string =>
  steps.findLast(({ step }) => step === 'stuck')?.detail ?? 'its memory is not free.';

/** Names for a sentence, with a limit. */
export const someNames = (names: readonly string[], most = 3): string =>
  names.length <= most ? commas(names) : `${names.slice(0, most).join(', ')} and ${names.length - most} more`;
