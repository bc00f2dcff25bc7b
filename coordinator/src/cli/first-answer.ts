import { streamChat } from './stream-chat.ts';

const PROMPT = 'Tell me in two or three short sentences what a graphics card is good for.';

export interface FirstAnswer {
  readonly isComplete: boolean;
  readonly sentence: string;
}

/** One real streamed chat through the public door, written out as it arrives. */
export const askFirstQuestion = async (options: {
  url: string;
  key: string;
  write: (text: string) => void;
}): Promise<FirstAnswer> => {
  try {
    const { problem, speed } = await streamChat(
      options,
      { model: 'auto', maxTokens: 96, messages: [{ role: 'user', content: PROMPT }] },
      options.write,
    );
    options.write('\n');
    return { isComplete: problem === null, sentence: problem ?? speed };
  } catch (error) {
    return { isComplete: false, sentence: error instanceof Error ? error.message : String(error) };
  }
};
