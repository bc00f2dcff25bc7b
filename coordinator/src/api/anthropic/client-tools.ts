import type { AnthropicTool } from '@lai/shared/anthropic';

type Schema = Readonly<Record<string, unknown>>;

const text = (description: string): Schema => ({ type: 'string', description });
const oneOf = (description: string, words: readonly string[]): Schema => ({ type: 'string', enum: words, description });
const whole = (description: string): Schema => ({ type: 'integer', description });
const pair = (description: string): Schema => ({
  type: 'array',
  items: { type: 'integer' },
  minItems: 2,
  maxItems: 2,
  description,
});
const object = (properties: Schema, required: readonly string[]): Schema => ({ type: 'object', properties, required });

interface ClientTool {
  /** What `type` begins with; a date follows. */
  readonly prefix: string;
  readonly description: string;
  parameters(tool: AnthropicTool): Schema;
}

const FILE_COMMANDS = {
  path: text('Path of the file or directory.'),
  file_text: text('Of create: the whole content of the new file.'),
  old_str: text('Of str_replace: the text to replace. It must be in the file exactly once.'),
  new_str: text('Of str_replace: the text that takes its place.'),
  insert_line: whole('Of insert: the number of the line behind which the text is inserted; 0 is the beginning.'),
  insert_text: text('Of insert: the text to insert.'),
  view_range: pair('Of view: the first and the last line to show; -1 as the last is the end of the file.'),
};

const ACTIONS = [
  ...['screenshot', 'cursor_position', 'mouse_move', 'left_click', 'right_click', 'middle_click', 'double_click', 'triple_click'],
  ...['left_click_drag', 'left_mouse_down', 'left_mouse_up', 'scroll', 'type', 'key', 'hold_key', 'wait', 'zoom'],
];

/** Tools that Anthropic names and the client runs: it knows their arguments, so the request does not tell them. */
const CLIENT_TOOLS: readonly ClientTool[] = [
  {
    prefix: 'bash_',
    description: 'Runs a command in a shell that keeps its state between calls, and returns what it prints.',
    parameters: () =>
      object(
        { command: text('The command to run.'), restart: { type: 'boolean', description: 'True to start the shell anew.' } },
        [],
      ),
  },
  {
    prefix: 'text_editor_',
    description: 'Shows, creates and edits text files.',
    parameters: ({ type }) => {
      // Those before mid-2025 insert new_str, and can take an edit back.
      const isOld = (/\d{8}$/.exec(type ?? '')?.[0] ?? '') < '20250429';
      const commands = ['view', 'create', 'str_replace', 'insert', ...(isOld ? ['undo_edit'] : [])];
      const { insert_text, ...rest } = FILE_COMMANDS;
      const newText = text('Of str_replace: the text that takes its place. Of insert: the text to insert.');
      const fields = isOld ? { ...rest, new_str: newText } : { ...rest, insert_text };
      return object({ command: oneOf('What to do.', commands), ...fields }, ['command', 'path']);
    },
  },
  {
    prefix: 'memory_',
    description: 'Keeps notes in files below /memories, which are there again in later conversations.',
    parameters: () =>
      object(
        {
          command: oneOf('What to do.', ['view', 'create', 'str_replace', 'insert', 'delete', 'rename']),
          ...FILE_COMMANDS,
          old_path: text('Of rename: the path as it is.'),
          new_path: text('Of rename: the path as it shall be.'),
        },
        ['command'],
      ),
  },
  {
    prefix: 'computer_',
    description: 'Looks at a screen and works with its mouse and keyboard.',
    parameters: (tool) =>
      object(
        {
          action: oneOf('What to do.', ACTIONS),
          coordinate: pair(`Where, in pixels from the left and the top${screenOf(tool)}.`),
          start_coordinate: pair('Of left_click_drag: where to begin.'),
          text: text('Of type: what to write. Of key and hold_key: the keys, as in ctrl+s. Of a click: keys to hold.'),
          scroll_direction: oneOf('Of scroll: where to.', ['up', 'down', 'left', 'right']),
          scroll_amount: whole('Of scroll: how many steps.'),
          duration: { type: 'number', description: 'Of hold_key and wait: seconds.' },
          region: { type: 'array', items: { type: 'integer' }, description: 'Of zoom: left, top, right and bottom in pixels.' },
        },
        ['action'],
      ),
  },
];

const screenOf = (tool: AnthropicTool): string => {
  const [width, height] = [tool['display_width_px'], tool['display_height_px']];
  return typeof width === 'number' && typeof height === 'number' ? ` of a screen of ${width} x ${height}` : '';
};

/** The function that a model is offered for one of them; null for another kind of tool. */
export const clientToolOf = (tool: AnthropicTool): Record<string, unknown> | null => {
  const known = CLIENT_TOOLS.find(({ prefix }) => tool.type?.startsWith(prefix));
  if (!known || !tool.name) return null;
  return {
    type: 'function',
    function: { name: tool.name, description: tool.description ?? known.description, parameters: known.parameters(tool) },
  };
};

const SERVER_TOOLS = ['web_search', 'web_fetch', 'code_execution', 'tool_search', 'mcp_toolset', 'advisor'];

/** Those that Anthropic itself runs: nobody here can. */
export const isServerTool = ({ type }: AnthropicTool): boolean => SERVER_TOOLS.some((prefix) => type?.startsWith(prefix));
