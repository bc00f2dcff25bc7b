import type { Target } from '../routing/target.ts';
import type { Placement } from './place.ts';

/** Why no connected node will ever serve the target: what was asked for, what stands against it, what there is instead. */
export const sentenceForNever = (target: Target, { refusals }: Placement, known: readonly string[]): string => {
  const why = [
    ...new Set(
      refusals
        .filter(({ reason }) => reason !== 'no_model' && reason !== 'not_in_step')
        .map(({ nodeName, model, detail }) => `${model} on ${nodeName}: ${detail}`),
    ),
  ];
  if (why.length > 0) return `No node can serve this request for ${target.model}. ${why.slice(0, 8).join('; ')}.`;
  const names = known.length > 0 ? `There is: ${known.slice(0, 10).join(', ')}.` : 'There are no models yet.';
  return `No node has a model "${target.model}". ${names}`;
};

/** Why a request found no place, for the person who sent it: one line, every machine named once with its best reason. */
export const sentenceFor = (target: Target, { candidates, refusals }: Placement): string => {
  const said = new Map<string, string>();
  for (const { nodeName, action } of candidates) {
    if (!said.has(nodeName))
      said.set(
        nodeName,
        {
          run: 'has a slot only now',
          wait: 'is busy or still loading the model',
          load: 'has not loaded the model',
          drain: 'is busy with other models',
        }[action],
      );
  }
  for (const { nodeName, reason, detail } of refusals)
    if (reason !== 'no_model' && reason !== 'not_in_step' && !said.has(nodeName)) said.set(nodeName, detail);
  const reasons = [...said].slice(0, 8).map(([name, why]) => `${name}: ${why}`);
  return reasons.length === 0
    ? `No node could take the request for ${target.model} in time: no node is connected.`
    : `No node could take the request for ${target.model} in time. ${reasons.join('; ')}.`;
};
