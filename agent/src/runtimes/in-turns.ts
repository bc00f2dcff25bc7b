/** Like `Promise.all` over `items`, with at most `width` of them under way at once. */
export const inTurns = async <In, Out>(items: readonly In[], width: number, ask: (item: In) => Promise<Out>): Promise<Out[]> => {
  const results = new Array<Out>(items.length);
  const next = items.entries();
  const walk = async () => {
    for (const [index, item] of next) results[index] = await ask(item);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, walk));
  return results;
};
