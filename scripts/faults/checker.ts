import type { Fail, HistoryEvent, Info, Invoke, Ok } from './history.ts';

export type Invariant = 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I7' | 'I9' | 'I10';

export interface Violation {
  readonly invariant: Invariant;
  readonly sentence: string;
}

/** A request may end this much after its deadline: the clock of the one who measures is not the coordinator's. */
const DEADLINE_SLACK_MS = 1_000;
/** Bytes that were under way when a connection was cut may still arrive. */
const UNDER_WAY_MS = 500;
const GAUGE_SHARE = 0.05;

type InfoOf<What extends Info['what']> = Extract<Info, { what: What }>;
type Check = (history: Sorted) => string[];

/** The events by what they are, so that each invariant reads as one sentence. */
interface Sorted {
  readonly invokes: readonly Invoke[];
  readonly endings: ReadonlyMap<string, readonly (Ok | Fail)[]>;
  info<What extends Info['what']>(what: What): InfoOf<What>[];
}

/** Checks a history against the invariants, offline. Pure; the sentences name the request, node or program. */
export const checkHistory = (events: readonly HistoryEvent[]): Violation[] => {
  const sorted = sort(events);
  return (Object.entries(CHECKS) as [Invariant, Check][]).flatMap(([invariant, check]) =>
    check(sorted).map((sentence) => ({ invariant, sentence })),
  );
};

const sort = (events: readonly HistoryEvent[]): Sorted => {
  const endings = Map.groupBy(
    events.filter((event) => event.type === 'ok' || event.type === 'fail'),
    (event) => event.request,
  );
  const infos = Map.groupBy(
    events.filter((event) => event.type === 'info'),
    (event) => event.what,
  );
  return {
    invokes: events.filter((event) => event.type === 'invoke'),
    endings,
    info: <What extends Info['what']>(what: What) => (infos.get(what) ?? []) as InfoOf<What>[],
  };
};

/** Every accepted job has exactly one terminal state and one result. */
const oneResultPerJob: Check = ({ info }) => {
  const ended = Map.groupBy(info('job.ended'), ({ job }) => job);
  const accepted = info('job.accepted').map(({ job }) => job);
  const lost = accepted.filter((job) => !ended.has(job)).map((job) => `job ${job} was accepted and never ended`);
  const torn = [...ended].flatMap(([job, ends]) => {
    const outcomes = new Set(ends.map(({ state, result }) => `${state} ${result}`));
    return outcomes.size > 1 ? [`job ${job} ended in ${outcomes.size} ways: ${[...outcomes].join(' | ')}`] : [];
  });
  return [...lost, ...torn];
};

/** What is counted is what was shown: one row per attempt, and no answer whose usage is not its length. */
const usageIsWhatWasShown: Check = ({ endings, info }) => {
  const twice = [...Map.groupBy(info('ledger'), ({ request, attempt }) => `${request}/${attempt}`)]
    .filter(([, rows]) => rows.length > 1)
    .map(([row, rows]) => `usage of attempt ${row} was booked ${rows.length} times`);
  const booked = new Map<string, number>();
  for (const { request, tokens } of info('ledger')) booked.set(request, (booked.get(request) ?? 0) + tokens);
  const shown = [...endings.values()].flat().filter((ending) => ending.type === 'ok');
  const wrong = shown.flatMap(({ request, pieces, usageTokens }) => {
    const tokens = booked.get(request) ?? usageTokens;
    return tokens !== null && tokens !== pieces ? [`${request} showed ${pieces} tokens and was counted as ${tokens}`] : [];
  });
  return [...twice, ...wrong];
};

/** Every request ends exactly once, in time. */
const oneEndingEach: Check = ({ invokes, endings }) => {
  const known = new Set(invokes.map(({ request }) => request));
  const strangers = [...endings.keys()]
    .filter((request) => !known.has(request))
    .map((request) => `${request} ended but was never asked`);
  const wrong = invokes.flatMap(({ request, deadlineMs }) => {
    const ends = endings.get(request) ?? [];
    const [end] = ends;
    if (end === undefined || (end.type === 'fail' && end.how === 'hang')) return [`${request} never ended`];
    if (ends.length > 1) return [`${request} ended ${ends.length} times`];
    const lateMs = end.atMs - deadlineMs;
    return lateMs > DEADLINE_SLACK_MS ? [`${request} ended ${Math.round(lateMs)} ms after its deadline`] : [];
  });
  return [...strangers, ...wrong];
};

/** Nobody sees bytes of two attempts, nor an answer signed by somebody else than who is named. */
const oneAttemptShown: Check = ({ endings }) =>
  [...endings.values()].flat().flatMap((ending) => {
    const { request, signatures } = ending;
    if (signatures.length > 1) return [`${request} shows parts of ${signatures.length} answers: ${signatures.join(', ')}`];
    const [signature] = signatures;
    return ending.type === 'ok' && ending.node !== null && signature !== undefined && signature !== ending.node
      ? [`${request} is said to be answered by ${ending.node} and is signed by ${signature}`]
      : [];
  });

/** Slots: what is reserved is what runs, never more than there are, and nothing when all is quiet. */
const slotsAddUp: Check = ({ info }) => [
  ...info('quiet').flatMap(({ running, waiting }) =>
    running + waiting === 0
      ? []
      : [`when all was quiet, the coordinator still counted ${running} running and ${waiting} waiting`],
  ),
  ...info('slots').flatMap(({ node, leased, attempts, inUse, maxInUse, limit }) => [
    ...(leased === 0 && inUse === 0
      ? []
      : [`${node}: nothing runs, but ${leased} slots are leased (attempts ${attempts.join(', ')}) and ${inUse} in use`]),
    ...(maxInUse <= limit ? [] : [`${node}: ${maxInUse} requests ran at once in ${limit} slots`]),
  ]),
];

/** What the fleet is believed to have is what it has. */
const capacityIsTrue: Check = ({ info }) =>
  info('capacity').flatMap((capacity) => {
    const [believed, real] = [[...capacity.believed].sort().join(', '), [...capacity.true].sort().join(', ')];
    if (believed !== real) return [`${capacity.node} is believed to have [${believed}] warm and has [${real}]`];
    return capacity.settledMs > capacity.limitMs
      ? [`the truth about ${capacity.node} took ${Math.round(capacity.settledMs)} ms to arrive, not ${capacity.limitMs} ms`]
      : [];
  });

/** Nothing counts that comes from a connection which is no more. */
const nothingStaleCounts: Check = ({ endings, info }) => {
  const cutAtMs = new Map(info('cut').map(({ link, atMs }) => [link, atMs]));
  const dispatches = Map.groupBy(info('dispatch'), ({ request }) => request);
  return [...endings.values()].flat().flatMap((ending) => {
    if (ending.type !== 'ok') return [];
    const last = dispatches.get(ending.request)?.at(-1);
    const cutMs = last && cutAtMs.get(last.link);
    if (cutMs === undefined || ending.atMs - cutMs <= UNDER_WAY_MS) return [];
    return [`${ending.request} was answered ${Math.round(ending.atMs - cutMs)} ms after the connection of ${last?.node} was cut`];
  });
};

/** Nobody dies but by our hand, nobody cries out, and every error says its code; a stream is never cut short in silence. */
const noAccidents: Check = ({ endings, info }) => [
  ...info('exit').flatMap(({ program, how, isInjected }) => (isInjected ? [] : [`${program} ended by itself: ${how}`])),
  ...info('outcry').map(({ program, line }) => `${program} said: ${line}`),
  ...[...endings.values()].flat().flatMap((ending) => {
    if (ending.type === 'ok' || ending.isExcused || ending.how === 'left' || ending.how === 'hang') return [];
    const { request, how, code, errorEvents, hasDone } = ending;
    if (how === 'cut') return [`${request} stopped without a word`];
    if (how === 'connect') return [`${request} found nobody at the door`];
    if (code === null) return [`${request} failed without a code`];
    if (how === 'event' && errorEvents !== 1) return [`${request} got ${errorEvents} error events`];
    return hasDone ? [`${request} got an error and [DONE]`] : [];
  }),
];

/** Memory, file descriptors and keys are what they were before. */
const nothingLeaks: Check = ({ info }) =>
  info('gauge').flatMap(({ name, before, after, slack }) =>
    after <= before * (1 + GAUGE_SHARE) + slack
      ? []
      : [`${name} went from ${Math.round(before)} to ${Math.round(after)} (allowed: 5 % and ${Math.round(slack)})`],
  );

const CHECKS: Readonly<Record<Invariant, Check>> = {
  I1: oneResultPerJob,
  I2: usageIsWhatWasShown,
  I3: oneEndingEach,
  I4: oneAttemptShown,
  I5: slotsAddUp,
  I6: capacityIsTrue,
  I7: nothingStaleCounts,
  I9: noAccidents,
  I10: nothingLeaks,
};
