import type { CallDelta } from './answer-stream.ts';

/** Calls of one choice that have begun: index → id. */
export type CallState = Map<number, string>;

/**
 * A piece of a call as strict clients need it: an index always, id, type and name with the first piece, arguments as text. Changes the
 * piece in place, and returns whether it did.
 */
export const repairCall = (call: CallDelta, known: CallState, newId: () => string): boolean => {
  const { id, type, function: fn } = call;
  const index = indexOf(call, known);
  let isChanged = set(call, 'index', index);
  if (!known.has(index)) {
    // Two calls of one id could not be told apart when their results come back.
    const isTaken = !id || [...known.values()].includes(id);
    const firstId = isTaken ? newId() : id;
    known.set(index, firstId);
    isChanged = set(call, 'id', firstId) || isChanged;
    isChanged = set(call, 'type', type || 'function') || isChanged;
    isChanged = set(fn, 'name', fn.name ?? '') || isChanged;
    isChanged = set(fn, 'arguments', fn.arguments ?? '') || isChanged;
  }
  const isObject = typeof fn.arguments === 'object' && fn.arguments !== null;
  return isObject ? set(fn, 'arguments', JSON.stringify(fn.arguments)) : isChanged;
};

/** Returns whether it was something else before. */
const set = (fields: Record<string, unknown>, name: string, value: unknown): boolean => {
  if (fields[name] === value) return false;
  fields[name] = value;
  return true;
};

/** Some engines leave the index out, others number every call 0: a new id is a new call. */
const indexOf = ({ index, id, function: fn }: CallDelta, known: CallState): number => {
  const next = known.size === 0 ? 0 : Math.max(...known.keys()) + 1;
  if (typeof index === 'number') {
    const sameIndex = known.get(index);
    return sameIndex !== undefined && id && id !== sameIndex && fn.name ? next : index;
  }
  for (const [knownIndex, knownId] of known) if (id && id === knownId) return knownIndex;
  return id || fn.name ? next : Math.max(0, next - 1);
};
