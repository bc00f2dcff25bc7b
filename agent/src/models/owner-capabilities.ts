import { CAPABILITIES } from '@lai/shared/node';
import { z } from 'zod';
import type { RuntimeModel } from '../runtimes/runtime.ts';

const WORDS: ReadonlySet<string> = new Set(CAPABILITIES);

const Rule = z.object({
  /** A model's name, or the beginning of one before a star. */
  pattern: z.string(),
  adds: z.array(z.string()),
  removes: z.array(z.string()),
});
type Rule = z.infer<typeof Rule>;

/**
 * What the owner of the machine knows of their models, where the engine does not tell: `qwen3*=tools,vision; tiny=-tools`. A word adds, a
 * word after a dash takes away; all rules that match count, in order.
 */
export const OwnerCapabilities = z.preprocess(
  (value, context) =>
    typeof value === 'string'
      ? value
          .split(';')
          .filter((rule) => rule.trim() !== '')
          .map((rule) => ruleOf(rule.trim(), (message) => context.addIssue(message)))
      : value,
  z.array(Rule),
);

const ruleOf = (text: string, refuse: (message: string) => void): Rule => {
  const at = text.lastIndexOf('=');
  const pattern = text.slice(0, Math.max(at, 0)).trim();
  const said = text
    .slice(at + 1)
    .split(',')
    .map((word) => word.trim());
  const wrong = said.find((word) => !WORDS.has(word.replace(/^-/, '')));
  if (pattern === '') refuse(`${JSON.stringify(text)} is no rule; write a model, "=" and words: qwen3*=tools,vision`);
  else if (wrong !== undefined) refuse(`${JSON.stringify(wrong)} is nothing that a model can do; use ${CAPABILITIES.join(', ')}`);
  return {
    pattern,
    adds: said.filter((word) => !word.startsWith('-')),
    removes: said.filter((word) => word.startsWith('-')).map((word) => word.slice(1)),
  };
};
export type OwnerCapabilities = z.infer<typeof OwnerCapabilities>;

/** Pure. The owner has the last word; what cannot be used at all stays so. */
export const withOwnersWord = (rules: OwnerCapabilities, models: readonly RuntimeModel[]): readonly RuntimeModel[] =>
  rules.length === 0
    ? models
    : models.map((model) => {
        if (model.slots === 0) return model;
        const words = new Set(model.capabilities);
        for (const { adds, removes } of rules.filter(({ pattern }) => matches(pattern, model.id))) {
          for (const word of adds) words.add(word);
          for (const word of removes) words.delete(word);
        }
        return { ...model, capabilities: [...words] };
      });

const matches = (pattern: string, id: string): boolean => {
  const [wanted, name] = [pattern.toLowerCase(), id.toLowerCase()];
  return wanted.endsWith('*') ? name.startsWith(wanted.slice(0, -1)) : name === wanted || name === `${wanted}:latest`;
};
