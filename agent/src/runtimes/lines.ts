/** A line longer than this is no line of an engine's. */
const LIMIT_CHARS = 1024 * 1024;

/** The lines of a body as they come, wherever the pieces were cut; empty ones are left out. */
export async function* readLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of body) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LIMIT_CHARS) throw new Error('a line without end');
    for (const line of lines) if (line.trim() !== '') yield line;
  }
  if (rest.trim() !== '') yield rest;
}
