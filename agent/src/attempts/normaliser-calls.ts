/** Calls of one stream that have begun: index → id. */
export type CallState = Map<number, string>;

interface Call {
  index?: number | null;
  id?: string | null;
  type?: string | null;
  function?: { name?: string | null; arguments?: unknown };
}

/**
 * A chunk with tool calls as strict clients need it: an index always, id, type and name with the first piece, arguments as text.
 * Gives back the very same string when it was so already. Latin1 in, latin1 out.
 */
export const repairCalls = (chunk: string, known: CallState, newId: () => string): string => {
  const start = chunk.indexOf('{');
  let parsed: { choices?: { delta?: { tool_calls?: Call[] | null } }[] };
  try {
    parsed = JSON.parse(Buffer.from(chunk.slice(start), 'latin1').toString());
  } catch {
    return chunk;
  }
  let isChanged = false;
  for (const { delta } of parsed.choices ?? []) {
    for (const call of delta?.tool_calls ?? []) isChanged = repairCall(call, known, newId) || isChanged;
  }
  if (!isChanged) return chunk;
  const text = Buffer.from(JSON.stringify(parsed)).toString('latin1');
  return `${chunk.slice(0, start)}${text}\n\n`;
};

/** Returns whether anything was changed. */
const repairCall = (call: Call, known: CallState, newId: () => string): boolean => {
  const before = JSON.stringify(call);
  call.index = indexOf(call, known);
  const fn = call.function ?? {};
  call.function = fn;
  if (!known.has(call.index)) {
    call.id ||= newId();
    call.type ||= 'function';
    fn.name ??= '';
    fn.arguments ??= '';
    known.set(call.index, call.id);
  }
  if (typeof fn.arguments === 'object' && fn.arguments !== null) fn.arguments = JSON.stringify(fn.arguments);
  return JSON.stringify(call) !== before;
};

/** Some engines leave the index out, others number every call 0: a new id is a new call. */
const indexOf = ({ index, id, function: fn }: Call, known: CallState): number => {
  const next = known.size === 0 ? 0 : Math.max(...known.keys()) + 1;
  if (typeof index === 'number') {
    const sameIndex = known.get(index);
    return sameIndex !== undefined && id && id !== sameIndex && fn?.name ? next : index;
  }
  for (const [knownIndex, knownId] of known) if (id && id === knownId) return knownIndex;
  return id || fn?.name ? next : Math.max(0, next - 1);
};
