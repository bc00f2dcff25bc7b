import type { NodeSnapshot } from '@lai/shared/node';
import { isPlain, plainText } from '@lai/shared/plain-text';

/** More requests at once than any engine runs on one machine. A node that reports more is wrong, by mistake or on purpose. */
export const MOST_SLOTS = 256;
/** Of any list in a snapshot; beyond, entries are left out. */
export const MOST_ENTRIES = 2_000;
const MOST_TEXT = 512;
/** As the schema of a snapshot has it. */
const MOST_TROUBLES = 64;

/**
 * What the coordinator takes over of a snapshot. Pure. An approved node may be compromised, so what it reports is shown to people and
 * used for placement only within these limits: slots are bounded, every text is one plain line, every list is cut. A model whose name is
 * not plain is left out, since nobody could ask for it by the name that is shown; `troubles` says so.
 */
export const believedSnapshot = (said: NodeSnapshot): NodeSnapshot => {
  const named = said.models.filter(({ id }) => isPlain(id));
  const snapshot = bounded({ ...said, models: named });
  const troubles = troublesOf(said.models.length - named.length, named.length - snapshot.models.length);
  return {
    ...snapshot,
    ...(troubles.length > 0 ? { troubles: [...troubles, ...(snapshot.troubles ?? [])].slice(0, MOST_TROUBLES) } : {}),
    models: snapshot.models.map((model) => ({ ...model, slots: Math.min(MOST_SLOTS, model.slots) })),
    maxConcurrent: Math.min(MOST_SLOTS, said.maxConcurrent),
  };
};

const bounded = <T>(value: T): T => {
  if (typeof value === 'string') return plainText(value, MOST_TEXT) as T;
  if (Array.isArray(value)) return value.slice(0, MOST_ENTRIES).map(bounded) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, bounded(entry)])) as T;
};

const troublesOf = (unplain: number, beyond: number): string[] => [
  ...(unplain > 0 ? [`${unplain} models left out: their names have characters that cannot be shown.`] : []),
  ...(beyond > 0 ? [`${beyond} models left out: a node may report at most ${MOST_ENTRIES}.`] : []),
];
