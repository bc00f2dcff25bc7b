import type { Preference } from './rules.ts';

/** What a request says, beside its model, about where it wants to go. */
export interface Signals {
  /** It overrides gaming mode, where the node's owner allows that. */
  readonly isForced: boolean;
  readonly isComplex: boolean;
  /** Its sender wants it to stay home. A request can tighten the rules, never loosen them. */
  readonly staysHome: boolean;
  readonly prefer: Preference | null;
  /** Models to try in order, of the request itself; empty when it names none. */
  readonly models: readonly string[];
}

/** What the signals are read from. */
export interface SignalSource {
  readonly headers: {
    readonly forceBig: boolean;
    readonly complexity: 'complex' | 'simple' | null;
    readonly home: 'only' | null;
    readonly prefer: Preference | null;
    readonly models: readonly string[];
  };
  /** Text of the last message of the user; empty when there is none. */
  readonly lastUserText: string;
  readonly reasoningEffort: string | null;
  readonly toolCount: number;
  readonly imageCount: number;
  /** `models` of the body. */
  readonly models: readonly string[];
}

/** When the rules call a request complex; `matches` tells by its text. */
export interface ComplexWhen {
  readonly tools?: number | undefined;
  readonly images?: number | undefined;
  readonly matches: (text: string) => boolean;
}

export const signalsOf = (source: SignalSource, complex: ComplexWhen): Signals => ({
  isForced: source.headers.forceBig || hasTag(source.lastUserText, 'force_big'),
  isComplex: isComplex(source, complex),
  staysHome: source.headers.home === 'only',
  prefer: source.headers.prefer,
  models: source.headers.models.length > 0 ? source.headers.models : source.models,
});

/** What is said in so many words counts before what is guessed. */
const isComplex = (
  { headers, lastUserText, reasoningEffort, toolCount, imageCount }: SignalSource,
  when: ComplexWhen,
): boolean => {
  if (headers.complexity !== null) return headers.complexity === 'complex';
  if (hasTag(lastUserText, 'complex')) return true;
  if (reasoningEffort === 'high' || reasoningEffort === 'xhigh') return true;
  if (when.tools !== undefined && toolCount >= when.tools) return true;
  if (when.images !== undefined && imageCount >= when.images) return true;
  return when.matches(lastUserText);
};

/** A tag is a word of its own: `#force_big`, not `#force_bigger` and not part of an address. */
const hasTag = (text: string, tag: string): boolean => new RegExp(`(?:^|\\s)#${tag}(?![\\w-])`, 'i').test(text);
