/** How programs read one and the same JSON text. Each reader gives the same kind of tree, so that trees can be compared. */
export type Tree = string | readonly Tree[] | ReadonlyMap<string, Tree>;

export interface Reader {
  readonly name: string;
  /** Null when it refuses the text. */
  read(text: string): Tree | null;
}

type Entries = readonly (readonly [string, Node])[];
/** Scalars keep their source text; objects keep every key, in order. */
type Node = { readonly scalar: string } | { readonly list: readonly Node[] } | { readonly entries: Entries };

const TOKEN = /\s*([{}[\],:]|"(?:[^"\\]|\\.)*"|[^\s{}[\],:"]+)/gy;

/** Of valid JSON only. */
const parse = (text: string): Node => {
  TOKEN.lastIndex = 0;
  const next = (): string => TOKEN.exec(text)?.[1] ?? '';
  const node = (token: string): Node => {
    if (token === '[') {
      const list: Node[] = [];
      for (let inner = next(); inner !== ']'; inner = next()) if (inner !== ',') list.push(node(inner));
      return { list };
    }
    if (token !== '{') return { scalar: token };
    const entries: [string, Node][] = [];
    for (let inner = next(); inner !== '}'; inner = next()) {
      if (inner === ',') continue;
      next();
      entries.push([JSON.parse(inner) as string, node(next())]);
    }
    return { entries };
  };
  return node(next());
};

class Refused extends Error {}

const readBy =
  (name: string, fields: (entries: Entries) => Entries): Reader['read'] =>
  (text) => {
    const treeOf = (node: Node): Tree => {
      if ('scalar' in node) return node.scalar;
      if ('list' in node) return node.list.map(treeOf);
      return new Map(fields(node.entries).map(([key, value]) => [key, treeOf(value)]));
    };
    try {
      JSON.parse(text);
      return treeOf(parse(text));
    } catch (error) {
      if (error instanceof Refused || error instanceof SyntaxError) return null;
      throw new Error(`${name} broke on ${text}`, { cause: error });
    }
  };

/** Go's fold of a letter that can be ASCII: its cases, and the two letters beyond ASCII that fold into it. */
const goFold = (key: string): string => key.toLowerCase().replaceAll('ſ', 's').replaceAll('\u212a', 'k');

const firstWins = (entries: Entries): Entries => [...new Map(entries.toReversed())];

const unique = (entries: Entries): Entries => {
  if (new Set(entries.map(([key]) => key)).size < entries.length) throw new Refused();
  return entries;
};

/** As Go's encoding/json, as most parsers, as those that keep the first, and as those that refuse a key that stands twice. */
export const READERS: readonly Reader[] = [
  { name: 'Go-like', read: readBy('Go-like', (entries) => entries.map(([key, value]) => [goFold(key), value])) },
  { name: 'last wins', read: readBy('last wins', (entries) => entries) },
  { name: 'first wins', read: readBy('first wins', firstWins) },
  { name: 'strict', read: readBy('strict', unique) },
];

const NOTHING: ReadonlySet<string> = new Set();

/** One text for trees that mean the same to a reader that does not care about the order of keys, nor for what stands under some of them. */
export const canonical = (tree: Tree, except = NOTHING): string => {
  if (typeof tree === 'string') return tree;
  if (tree instanceof Map)
    return `{${[...(tree as ReadonlyMap<string, Tree>)]
      .map(([key, value]) => `${JSON.stringify(goFold(key))}:${except.has(key) ? '…' : canonical(value, except)}`)
      .sort()
      .join()}}`;
  return `[${(tree as readonly Tree[]).map((each) => canonical(each, except)).join()}]`;
};
