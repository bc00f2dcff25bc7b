import { createInterface } from 'node:readline';
import { styleText } from 'node:util';
import { UsageError } from '@lai/shared/command-failure';
import { escapeObeyed, ownControls } from '@lai/shared/terminal-text';
import type { Command } from 'commander';
import type { Asked } from './ask-coordinator.ts';
import { examples, withPlace } from './options.ts';
import { keyedPlace } from './place.ts';
import { type ChatMessage, streamChat } from './stream-chat.ts';

const MOST_COMPARED = 4;
const HELP =
  '/model NAME: another model · /compare A B: the next message to both · /new: forget the conversation · /exit\nCtrl-C stops an answer.';

/** What a line typed into the chat means. Pure. */
export type Typed =
  | { readonly kind: 'say'; readonly text: string }
  | { readonly kind: 'model'; readonly model: string }
  | { readonly kind: 'compare'; readonly models: readonly string[] }
  | { readonly kind: 'new' | 'exit' | 'help' | 'nothing' }
  | { readonly kind: 'wrong'; readonly sentence: string };

export const readTyped = (line: string): Typed => {
  const text = line.trim();
  if (text === '') return { kind: 'nothing' };
  if (!text.startsWith('/')) return { kind: 'say', text };
  const [command = '', ...words] = text.split(/\s+/);
  switch (command) {
    case '/model':
      return words[0] === undefined || words.length > 1
        ? { kind: 'wrong', sentence: 'Name one model: /model llama3.2:3b' }
        : { kind: 'model', model: words[0] };
    case '/compare':
      return words.length < 2 || words.length > MOST_COMPARED
        ? { kind: 'wrong', sentence: `Name two to ${MOST_COMPARED} models: /compare llama3.2:3b qwen3:8b` }
        : { kind: 'compare', models: words };
    case '/new':
      return { kind: 'new' };
    case '/exit':
    case '/quit':
      return { kind: 'exit' };
    case '/help':
      return { kind: 'help' };
    default:
      return { kind: 'wrong', sentence: `There is no ${command}. ${HELP}` };
  }
};

/** `lai chat` */
export const addChatCommand = (program: Command): void => {
  const command = withPlace(program.command('chat'))
    .description('talk to a model of the fleet; shows who answered, and how fast')
    .argument('[model]', 'a model of the fleet (default: auto, whichever is ready first)')
    .action((model: string | undefined, flags) => chat(keyedPlace(flags), model ?? 'auto'));
  examples(
    command,
    'lai chat',
    'lai chat llama3.2:3b',
    "echo 'Why is the sky blue?' | lai chat",
    '/compare llama3.2:3b qwen3:8b',
  );
};

const chat = async (place: Asked, first: string): Promise<void> => {
  const isPerson = process.stdin.isTTY === true;
  const reader = createInterface({ input: process.stdin, output: ownControls(process.stderr), terminal: isPerson });
  const note = (text: string) => process.stderr.write(`${styleText('dim', escapeObeyed(text), { stream: process.stderr })}\n`);
  let model = first;
  let compared: readonly string[] = [];
  let messages: ChatMessage[] = [];
  let stop: AbortController | null = null;
  reader.on('SIGINT', () => (stop ? stop.abort() : reader.close()));
  const prompt = () => {
    if (!isPerson) return;
    reader.setPrompt(`${compared.length > 0 ? compared.join(' | ') : model}> `);
    reader.prompt();
  };
  const answer = async (name: string): Promise<string | null> => {
    stop = new AbortController();
    try {
      const { text, problem, speed } = await streamChat(place, { model: name, messages, signal: stop.signal }, (piece) =>
        process.stdout.write(escapeObeyed(piece)),
      );
      process.stdout.write('\n');
      if (problem !== null) throw new Error(problem);
      note(`— ${speed}`);
      return text;
    } catch (error) {
      if (stop.signal.aborted) note('\n(stopped)');
      else if (isPerson) note(error instanceof Error ? error.message : String(error));
      else throw error;
      return null;
    } finally {
      stop = null;
    }
  };

  if (isPerson) note(HELP);
  prompt();
  for await (const line of reader) {
    const typed = readTyped(line);
    switch (typed.kind) {
      case 'say': {
        messages = [...messages, { role: 'user', content: typed.text }];
        const asked = compared.length > 0 ? compared : [model];
        const texts: (string | null)[] = [];
        for (const name of asked) {
          if (compared.length > 0) process.stdout.write(`${styleText('bold', name)}\n`);
          texts.push(await answer(name));
        }
        const [text] = texts;
        messages = text ? [...messages, { role: 'assistant', content: text }] : messages.slice(0, -1);
        compared = [];
        break;
      }
      case 'model':
        ({ model } = typed);
        compared = [];
        break;
      case 'compare':
        compared = typed.models;
        break;
      case 'new':
        messages = [];
        break;
      case 'help':
        note(HELP);
        break;
      case 'wrong':
        if (!isPerson) throw new UsageError(typed.sentence);
        note(typed.sentence);
        break;
      case 'exit':
        reader.close();
        return;
      default:
    }
    prompt();
  }
};
