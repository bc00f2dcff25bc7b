const TRIES = 32;
const REST_LIMIT_CHARACTERS = 300;

/**
 * The longest list or object in a program's output, whatever warnings it prints before and after. `value` is null where there is none;
 * `rest` is the text around it, on one line, or its first 300 characters.
 */
export function jsonIn(output: string): { value: unknown; rest: string } {
  let found = { value: null as unknown, from: 0, to: 0 };
  let from = nextBracket(output, 0);
  for (let tries = 0; from !== null && tries < TRIES; tries += 1) {
    const to = endOf(output, from);
    const value = to === null || to - from <= found.to - found.from ? undefined : parsed(output.slice(from, to));
    if (to !== null && value !== undefined) found = { value, from, to };
    from = nextBracket(output, to !== null && value !== undefined ? to : from + 1);
  }
  return { value: found.value, rest: oneLine(`${output.slice(0, found.from)} ${output.slice(found.to)}`) };
}

function nextBracket(text: string, from: number): number | null {
  const offset = text.slice(from).search(/[[{]/);
  return offset < 0 ? null : from + offset;
}

/** Where the brackets that open at `from` are closed again; null when they are not. */
function endOf(text: string, from: number): number | null {
  let depth = 0;
  let isText = false;
  for (let at = from; at < text.length; at += 1) {
    const character = text[at];
    if (isText) {
      if (character === '\\') at += 1;
      else if (character === '"') isText = false;
    } else if (character === '"') isText = true;
    else if (character === '[' || character === '{') depth += 1;
    else if (character === ']' || character === '}') depth -= 1;
    if (depth === 0) return at + 1;
  }
  return null;
}

function parsed(json: string): unknown {
  // Python prints numbers that are none in words that JSON does not know.
  for (const text of [json, json.replaceAll(/(?<=[:[,]\s*)-?(?:NaN|Infinity)(?=\s*[,\]}])/g, 'null')]) {
    try {
      return JSON.parse(text);
    } catch {}
  }
  return undefined;
}

const oneLine = (text: string): string =>
  text
    .replaceAll(/[\s\p{C}]+/gu, ' ')
    .trim()
    .slice(0, REST_LIMIT_CHARACTERS);
