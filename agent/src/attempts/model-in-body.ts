const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = new Set([0x7b, 0x5b]);
const CLOSE = new Set([0x7d, 0x5d]);
const NAME = Buffer.from('"model"');
/** Between a key and the end of its value, from just behind the key. */
const VALUE = /^\s*:\s*"(?:[^"\\]|\\.)*"/;
const VALUE_LIMIT_BYTES = 8 * 1024;

/** A JSON body with another model's name in it, and every other byte as it was. The body itself where it names no model. */
export const withModel = (body: Buffer, model: string): Buffer => {
  let depth = 0;
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at] ?? 0;
    if (OPEN.has(byte)) depth += 1;
    else if (CLOSE.has(byte)) depth -= 1;
    if (byte !== QUOTE) continue;
    const end = endOfText(body, at);
    if (depth === 1 && NAME.equals(body.subarray(at, end))) {
      // Latin1, so that one character is one byte.
      const [value] = VALUE.exec(body.toString('latin1', end, end + VALUE_LIMIT_BYTES)) ?? [];
      if (value !== undefined)
        return Buffer.concat([
          body.subarray(0, end),
          Buffer.from(`:${JSON.stringify(model)}`),
          body.subarray(end + value.length),
        ]);
    }
    at = end - 1;
  }
  return body;
};

/** Just behind the quote that ends the text starting at `start`. */
const endOfText = (body: Buffer, start: number): number => {
  for (let at = start + 1; at < body.length; at += 1) {
    if (body[at] === BACKSLASH) at += 1;
    else if (body[at] === QUOTE) return at + 1;
  }
  return body.length;
};
