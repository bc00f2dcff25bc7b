/**
 * What is wrong with a PowerShell script, in sentences; empty when nothing is. There is no PowerShell to ask here, so this is a grammar
 * (tree-sitter) and what is known to fail in Windows PowerShell 5.1, which every Windows has.
 */
import { createRequire } from 'node:module';
import { Language, type Node, Parser } from 'web-tree-sitter';

const MAX_FUNCTION_LINES = 25;
const MAX_COLUMNS = 180;

let parser: Parser | undefined;
const loadParser = async (): Promise<Parser> => {
  await Parser.init();
  const grammar = createRequire(import.meta.url).resolve('tree-sitter-powershell/tree-sitter-powershell.wasm');
  return new Parser().setLanguage(await Language.load(grammar));
};

const rootOf = async (text: string): Promise<Node> => {
  parser ??= await loadParser();
  const tree = parser.parse(text);
  if (!tree) throw new Error('the grammar gave no tree');
  return tree.rootNode;
};

/** As PowerShell sees half a script that ends somewhere: an error, and nothing of it runs. */
export const isBroken = async (text: string): Promise<boolean> => (await rootOf(text)).hasError;

/** Newer than 5.1, or a door for whoever can put words into a string. */
const TRAPS: readonly [RegExp, string][] = [
  [/&&|\|\|/, 'joins commands with && or ||, which 5.1 does not know'],
  [/\?\?|\?\./, 'uses ?? or ?., which 5.1 does not know'],
  [/\$Is(?:Windows|Linux|MacOS)\b/i, 'asks $IsWindows, which 5.1 does not have'],
  [/-(?:AsHashtable|Parallel|SkipCertificateCheck|SslProtocol)\b/i, 'uses a parameter that 5.1 does not have'],
  [/\b(?:Invoke-Expression|iex)\b/i, 'runs text as a program'],
  [/\b(?:wget|curl|ls|rm|cp|mv|cat|echo)\b(?![-.\w])/, 'uses an alias'],
  [/\b\d+[KMGT]B\b/i, 'has a number with a unit, which the grammar does not know'],
  [/ServerCertificateValidationCallback/, 'switches off the check of certificates'],
  [/-replace\s+'@|Set-ExecutionPolicy/i, 'changes this computer’s policy'],
  [/\bMove-Item\b/, 'moves, and with that keeps the access list of where it was'],
];

const descendants = (node: Node, type: string): Node[] => node.descendantsOfType(type).flatMap((found) => (found ? [found] : []));

const nameOf = (definition: Node): string =>
  definition.namedChildren.find((child) => child?.type === 'function_name')?.text ?? '?';

const functionFindings = (root: Node): string[] =>
  descendants(root, 'function_statement').flatMap((definition) => {
    const lines = definition.endPosition.row - definition.startPosition.row + 1;
    const name = nameOf(definition);
    return [
      ...(lines > MAX_FUNCTION_LINES ? [`${name} has ${lines} lines, more than ${MAX_FUNCTION_LINES}`] : []),
      ...(/^[A-Z][a-z]+-[A-Z][A-Za-z]+$/.test(name) ? [] : [`${name} is not called Verb-Noun`]),
    ];
  });

/**
 * A block that is handed over sees the names of whoever runs it before those of where it was written, whatever their case. So what takes
 * blocks has names that nobody else has.
 */
const shadowFindings = (root: Node): string[] =>
  descendants(root, 'function_statement').flatMap((definition) => {
    const parameters = descendants(definition, 'script_parameter');
    if (!parameters.some(({ text }) => /\[scriptblock\]/i.test(text))) return [];
    const names = parameters.flatMap(({ text }) => /\$(\w+)/.exec(text)?.[1]?.toLowerCase() ?? []);
    const elsewhere = descendants(root, 'variable').filter(
      ({ startIndex }) => startIndex < definition.startIndex || startIndex > definition.endIndex,
    );
    return names
      .filter((name) => elsewhere.some(({ text }) => text.toLowerCase() === `$${name}`))
      .map((name) => `$${name} of ${nameOf(definition)} hides a variable of the blocks that it runs`);
  });

const errorFindings = (node: Node): string[] => {
  if (node.isError || node.isMissing)
    return [`line ${node.startPosition.row + 1}: ${node.isMissing ? 'something is missing' : 'cannot be read'}`];
  return node.hasError ? node.children.flatMap((child) => (child ? errorFindings(child) : [])) : [];
};

/** Comments and texts blanked out, so that only code is looked at. */
const codeOf = (text: string, root: Node): string => {
  let code = text;
  for (const type of ['comment', 'verbatim_string_characters', 'verbatim_here_string_characters', 'expandable_string_literal'])
    for (const { startIndex, endIndex } of descendants(root, type))
      code = code.slice(0, startIndex) + code.slice(startIndex, endIndex).replace(/[^\n]/g, ' ') + code.slice(endIndex);
  return code;
};

const lineFindings = (text: string, code: string): string[] => {
  const lines = code.split('\n');
  return text.split('\n').flatMap((line, at) => [
    ...TRAPS.filter(([trap]) => trap.test(lines[at] ?? '')).map(([, words]) => `line ${at + 1} ${words}`),
    ...(line.length > MAX_COLUMNS ? [`line ${at + 1} is longer than ${MAX_COLUMNS}`] : []),
    // 5.1 reads a file without a mark at its beginning in the code page of the machine.
    ...(/[^\x20-\x7e]/.test(line) ? [`line ${at + 1} has a character that is not ASCII`] : []),
  ]);
};

export const powershellFindings = async (text: string): Promise<string[]> => {
  const root = await rootOf(text);
  return [...errorFindings(root), ...functionFindings(root), ...shadowFindings(root), ...lineFindings(text, codeOf(text, root))];
};
