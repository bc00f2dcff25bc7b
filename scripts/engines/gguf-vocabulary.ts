/**
 * A vocabulary of our own in the SentencePiece style of the llama tokenizer: three control tokens, all 256 bytes (so that any
 * text can be encoded), words with their leading space (written ▁), and the printable ASCII characters.
 */

/** Token types, numbered by llama.cpp. */
const kinds = { normal: 1, unknown: 2, control: 3, byte: 6 } as const;

const words =
  'machine light river stone quiet window garden morning paper bridge music letter winter summer orange silver kitchen ' +
  'table engine answer question number simple small large warm cold bright slow fast ready open closed left right ' +
  'house street mountain island forest cloud rain snow wind fire water earth I you we they is are was will can with ' +
  'from into over under after before and or but not';

interface Token {
  text: string;
  score: number;
  kind: number;
}

const control: Token[] = [
  { text: '<unk>', score: 0, kind: kinds.unknown },
  { text: '<s>', score: 0, kind: kinds.control },
  { text: '</s>', score: 0, kind: kinds.control },
];
const bytes: Token[] = Array.from({ length: 256 }, (_, byte) => ({
  text: `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
  score: 0,
  kind: kinds.byte,
}));
// The tokenizer merges towards the highest score: a word beats its letters, a shorter list index beats a longer one.
const spoken: Token[] = ['▁', ...words.split(' ').map((word) => `▁${word}`)].map((text, index) => ({
  text,
  score: -1 - index,
  kind: kinds.normal,
}));
const characters: Token[] = Array.from({ length: 126 - 33 + 1 }, (_, index) => ({
  text: String.fromCharCode(33 + index),
  score: -1000 - index,
  kind: kinds.normal,
}));

const all = [...control, ...bytes, ...spoken, ...characters];

export const vocabulary = {
  tokens: all.map((token) => token.text),
  scores: all.map((token) => token.score),
  types: all.map((token) => token.kind),
  /** Index of the first token that a model may say. */
  firstWord: control.length + bytes.length,
};
