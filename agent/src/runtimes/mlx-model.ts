import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { part, text } from './engine-values.ts';

/** Larger than any template; a vocabulary does not stand in these files. */
const FILE_LIMIT_BYTES = 4 * 1024 * 1024;
const Tokenizer = z.looseObject({ chat_template: text });

/** Marks in chat templates for which mlx_lm.server has a reader of tool calls (its tokenizer_utils.py); others come as plain text. */
const TOOL_MARKS =
  /<(?:minimax:|longcat_)?tool_call>|<\|tool_call>|<start_function_call>|<arg_key>|<\|tool_(?:list|call)_start\|>|<\|tool_calls_section_begin\|>|\[TOOL_CALLS\]|<function name="/;

/**
 * What a model of mlx_lm.server can do, from its own files: the server tells nothing and refuses no tools, which it then leaves out of the
 * prompt. Null when the files cannot be read from here.
 */
export const mlxCapabilities = async (id: string, hub = defaultHub()): Promise<readonly string[] | null> => {
  const folder = await folderOf(id, hub);
  if (folder === null) return null;
  const own = await read(join(folder, 'chat_template.jinja'));
  const tokenizer = part(Tokenizer).parse(parseJson(await read(join(folder, 'tokenizer_config.json'))));
  if (own === null && tokenizer === null) return null;
  const template = own ?? tokenizer?.chat_template ?? '';
  return [...(template === '' ? [] : ['chat']), 'completion', ...(TOOL_MARKS.test(template) ? ['tools'] : [])];
};

/** A folder, or a name of Hugging Face in the cache that mlx_lm.server lists. */
const folderOf = async (id: string, hub: string): Promise<string | null> => {
  if (isAbsolute(id)) return id;
  const repository = join(hub, `models--${id.replaceAll('/', '--')}`);
  const revision = (await read(join(repository, 'refs', 'main')))?.trim() ?? '';
  return /^[0-9a-f]{6,64}$/.test(revision) ? join(repository, 'snapshots', revision) : null;
};

const defaultHub = (): string => join(homedir(), '.cache', 'huggingface', 'hub');

const read = async (file: string): Promise<string | null> => {
  const content = await readFile(file, 'utf8').catch(() => null);
  return content === null || content.length > FILE_LIMIT_BYTES ? null : content;
};

const parseJson = (content: string | null): unknown => {
  try {
    return JSON.parse(content ?? '');
  } catch {
    return null;
  }
};
