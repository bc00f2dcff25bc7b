interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
}

export interface Tool {
  readonly type: string;
  readonly function: { readonly name: string; readonly parameters?: Schema };
}

/** What the tool loop's command prints; it comes back in the engine's last answer, and so in the client's output. */
export const TOOL_RAN = 'lai-tool-ran';
const COMMAND = `echo ${TOOL_RAN}`;

/** The tests' own tool, then whatever a coding agent calls its shell. */
const PREFERRED = [
  'weather',
  'bash',
  'shell',
  'shell_command',
  'exec_command',
  'run_shell_command',
  'execute_command',
  'run_commands',
];

export const preferredTool = (tools: readonly Tool[]): Tool | undefined => {
  const named = (name: string) => tools.find((tool) => tool.function.name.toLowerCase() === name);
  return (
    PREFERRED.map(named).find((tool) => tool !== undefined) ??
    tools.find((tool) => 'command' in (tool.function.parameters?.properties ?? {}))
  );
};

/** The smallest arguments that fit, with a harmless command where one is wanted. */
export const argumentsFor = ({ function: { parameters } }: Tool): Record<string, unknown> => {
  const names = new Set([...(parameters?.required ?? []), ...Object.keys(parameters?.properties ?? {}).filter(isCommand)]);
  return Object.fromEntries([...names].map((name) => [name, valueFor(name, parameters?.properties?.[name] ?? {})]));
};

const isCommand = (name: string): boolean => /^(command|commands|cmd)$/.test(name);

const valueFor = (name: string, schema: Schema): unknown => {
  const type = Array.isArray(schema.type) ? schema.type[0] : (schema.type ?? schema.anyOf?.[0]?.type);
  if (schema.enum) return schema.enum[0];
  if (type === 'array') return isCommand(name) ? (name === 'commands' ? [COMMAND] : ['bash', '-lc', COMMAND]) : [];
  if (type === 'integer' || type === 'number') return 1;
  if (type === 'boolean') return false;
  if (type === 'object') return {};
  return isCommand(name) ? COMMAND : 'Oslo';
};
