import type { MessagesRequest } from '@lai/shared/anthropic';
import { type FieldTable, ignored, inside, type Treatment, translated } from '../openai/field-table.ts';

/** A row for every field that the schema names; the type says when one is missing. */
type Rows = Record<keyof { [Key in keyof MessagesRequest as string extends Key ? never : Key]: true }, Treatment>;

const rows: Rows & Record<string, Treatment> = {
  model: translated('a name of the fleet, an alias or auto'),
  messages: translated('thinking goes back beside the calls it led to'),
  cache_control: ignored('engines keep what they can'),
  container: ignored('nobody here runs code'),
  context_management: ignored('conversations are not shortened here'),
  inference_geo: ignored('it is for Anthropic'),
  max_tokens: translated(),
  mcp_servers: ignored('nobody here calls tools for the client'),
  metadata: inside,
  'metadata.user_id': translated('names the conversation'),
  output_config: inside,
  'output_config.effort': translated('reasoning_effort, for models that can think'),
  'output_config.format': translated('response_format; demands the capability json'),
  'output_config.task_budget': ignored('it is for Anthropic'),
  output_format: translated('the older name of output_config.format'),
  service_tier: ignored('X-Lai-Priority says who may go first', ['auto', 'standard_only']),
  speed: ignored('every model is as fast as its machine', ['standard']),
  stop_sequences: translated('stop'),
  stream: translated('engines are always asked to stream'),
  system: translated('the first system message'),
  temperature: translated(),
  thinking: inside,
  'thinking.type': translated(
    'disabled is reasoning_effort none, enabled is medium unless effort says more, for models that can think',
  ),
  'thinking.budget_tokens': ignored('engines know no such limit'),
  'thinking.display': ignored('thinking is given as it is'),
  tool_choice: translated('a named tool is the only one offered, and required; none offers no tools'),
  tools: translated(
    'those with a schema, and bash, text_editor, memory and computer, which the client runs; tools that Anthropic runs are ignored',
  ),
  top_k: translated(),
  top_p: translated(),
};

export const MESSAGES_FIELDS: FieldTable = { rows, unknown: 'ignored' };
