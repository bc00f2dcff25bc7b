import { type Document, isMap, isNode, isPair, isScalar, LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { distanceOf } from '../routing/meaning.ts';

/** What is wrong in a configuration file, where, and what to write instead. Lines and columns count from 1. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly what: string;
}

export type FileReading<Value> =
  | { readonly kind: 'ok'; readonly value: Value; readonly lineOf: (path: readonly PropertyKey[]) => number }
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] };

/** Larger files are refused unread. */
export const MAX_FILE_BYTES = 1024 * 1024;
/** YAML aliases can multiply a small file; nobody needs many here. */
const MAX_ALIASES = 50;

/** Reads YAML (or JSON, which is YAML) by a schema. Pure: text in, a value or every problem of the file out. */
export const readFileText = <Schema extends z.ZodType>(
  file: string,
  text: string,
  schema: Schema,
): FileReading<z.output<Schema>> => {
  const lines = new LineCounter();
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, stringKeys: true });
  if (document.errors.length > 0)
    return {
      kind: 'refused',
      problems: document.errors.map((error) => ({ ...at(error.pos[0]), what: sentence(error.message) })),
    };
  let written: unknown;
  try {
    written = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    return { kind: 'refused', problems: [{ ...at(0), what: sentence(error instanceof Error ? error.message : String(error)) }] };
  }
  const place = (path: readonly PropertyKey[], key?: string) => at(offsetOf(document, path, key));
  const parsed = schema.safeParse(written ?? {});
  if (parsed.success) return { kind: 'ok', value: parsed.data, lineOf: (path) => place(path).line };
  const problems = parsed.error.issues.flatMap((issue) =>
    problemsOf(issue, schema).map(({ path, key, what }) => ({ ...place(path, key), what })),
  );
  return { kind: 'refused', problems: problems.toSorted((a, b) => a.line - b.line || a.column - b.column) };
};

/** One line per problem, as compilers write it. */
export const problemLine = ({ file, line, column, what }: Problem): string => `${file}:${line}:${column}: ${what}`;

interface Located {
  readonly path: readonly PropertyKey[];
  /** A key of the map at `path`, where the key itself is wrong. */
  readonly key?: string;
  readonly what: string;
}

const problemsOf = (issue: z.core.$ZodIssue, schema: z.ZodType): readonly Located[] => {
  const name = issue.path.map(String).join('.') || 'the file';
  if (issue.code !== 'unrecognized_keys') return [{ path: issue.path, what: sentence(`${name}: ${issue.message}`) }];
  const known = keysAt(schema, issue.path);
  return issue.keys.map((key) => ({ path: issue.path, key, what: `unknown key "${key}". ${instead(key, known)}` }));
};

const instead = (key: string, known: readonly string[]): string => {
  const [closest] = known.toSorted((a, b) => distanceOf(key, a) - distanceOf(key, b));
  const isClose = closest !== undefined && distanceOf(key.toLowerCase(), closest.toLowerCase()) <= Math.max(2, key.length / 3);
  return isClose ? `Did you mean "${closest}"?` : `Known here: ${known.join(', ')}.`;
};

/** Names that the schema knows for a map at this path. */
const keysAt = (schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] => {
  let at: SchemaDef | undefined = definitionOf(schema);
  for (const step of path) at = definitionOf(at?.shape?.[String(step)] ?? at?.valueType ?? at?.element);
  return Object.keys(at?.shape ?? {});
};

interface SchemaDef {
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly valueType?: z.ZodType;
  readonly element?: z.ZodType;
  readonly innerType?: z.ZodType;
}

/** Of the schema below defaults and optionals. */
const definitionOf = (schema: z.ZodType | undefined): SchemaDef | undefined => {
  const definition = schema?.def as SchemaDef | undefined;
  return definition?.innerType ? definitionOf(definition.innerType) : definition;
};

const offsetOf = (document: Document, path: readonly PropertyKey[], key?: string): number => {
  for (let depth = path.length; depth >= 0; depth--) {
    const node = document.getIn(path.slice(0, depth), true);
    if (!isNode(node)) continue;
    const pair =
      key !== undefined && isMap(node) ? node.items.find((item) => isScalar(item.key) && item.key.value === key) : undefined;
    const place = isPair(pair) && isNode(pair.key) ? pair.key.range : node.range;
    return place?.[0] ?? 0;
  }
  return 0;
};

const sentence = (text: string): string => (/[.?!]$/.test(text) ? text : `${text}.`);
