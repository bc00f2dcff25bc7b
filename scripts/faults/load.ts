import { setTimeout as pause } from 'node:timers/promises';
import type { Ask, Told } from './asking.ts';
import type { Fail, Ok } from './history.ts';
import type { Replica, Stage } from './stage.ts';

type Question = Omit<Ask, 'url' | 'key' | 'model'> & Partial<Pick<Ask, 'url' | 'model'>>;

/** Requests at a steady pace, whatever becomes of the earlier ones, until told to stop; resolves when all have ended. */
export const askAtRate = async <T extends Told>(options: {
  perSecond: number;
  isOver: (asked: number) => boolean;
  ask: (index: number) => Promise<T>;
}): Promise<T[]> => {
  const startedMs = performance.now();
  const answers: Promise<T>[] = [];
  while (!options.isOver(answers.length)) {
    const due = Math.floor(((performance.now() - startedMs) / 1_000) * options.perSecond);
    while (answers.length < due && !options.isOver(answers.length)) answers.push(options.ask(answers.length));
    await pause(5);
  }
  return Promise.all(answers);
};

/** So many at once: whoever has an answer asks the next question, until told to stop. */
export const askInTurns = async (options: {
  atOnce: number;
  isOver: (asked: number) => boolean;
  ask: (index: number) => Promise<Told>;
}): Promise<Told[]> => {
  const told: Told[] = [];
  let asked = 0;
  const askNext = async (): Promise<void> => {
    while (!options.isOver(asked)) {
      asked += 1;
      told.push(await options.ask(asked));
    }
  };
  await Promise.all(Array.from({ length: options.atOnce }, askNext));
  return told;
};

const MOST_TRIES = 5;
/** Of all tries together. */
const DEADLINE_MS = 30_000;

/** Errors that say: ask again. */
const ASK_AGAIN = ['shutting_down', 'store_unavailable'];

/** The product was not there, or said that asking again is worth it. */
const isWorthAnotherTry = (ending: Ok | Fail, codes: readonly string[]): boolean =>
  ending.type === 'fail' && (ending.how === 'connect' || ending.how === 'cut' || codes.includes(ending.code ?? ''));

/**
 * A client with several doors, as behind a load balancer: whoever finds nobody, is cut off or is told so asks again at another one; with
 * `andNodeLost` also who lost its node. What counts is how it ends for good.
 */
export const askAnyDoor = async (
  stage: Stage,
  question: Question,
  { first, andNodeLost = false }: { first: number; andNodeLost?: boolean },
): Promise<Told & { readonly tries: number }> => {
  const codes = andNodeLost ? [...ASK_AGAIN, 'node_lost'] : ASK_AGAIN;
  const startedMs = performance.now();
  for (let tries = 1; ; tries += 1) {
    const timeoutMs = Math.max(1_000, DEADLINE_MS - (performance.now() - startedMs));
    const replica = stage.replicas[(first + tries - 1) % stage.replicas.length] as Replica;
    const { kills } = replica;
    const told = await stage.ask({
      ...{ timeoutMs, ...question },
      url: replica.url,
      isFirst: tries === 1,
      isExcused: () => replica.kills > kills,
      isFinal: (ending) => tries >= MOST_TRIES || !isWorthAnotherTry(ending, codes),
    });
    if (tries >= MOST_TRIES || !isWorthAnotherTry(told.ending, codes)) return { ...told, tries };
    await pause(50 * tries);
  }
};

export const isOk = ({ ending }: Told): boolean => ending.type === 'ok';

/** How a request ended, in a few words. */
export const describeEnding = ({ ending, status }: Told): string =>
  ending.type === 'ok'
    ? 'answered'
    : `${ending.how}${status === null || status === 200 ? '' : ` ${status}`} ${ending.code ?? ''}`.trim();

/** `12 answered, 3 event node_lost` */
export const tally = (told: readonly Told[]): string =>
  [...Map.groupBy(told, describeEnding)].map(([words, group]) => `${group.length} ${words}`).join(', ') || 'none';
