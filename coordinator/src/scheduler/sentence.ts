import type { Target } from './fleet.ts';
import type { Placement } from './place.ts';

/** Why a request found no place, for the person who sent it: one line, every machine named once with its best reason. */
export const sentenceFor = (target: Target, { candidates, refusals }: Placement): string => {
  const said = new Map<string, string>();
  for (const { nodeName, action } of candidates) {
    if (!said.has(nodeName))
      said.set(
        nodeName,
        { run: 'has a slot only now', wait: 'is busy or still loading the model', load: 'has not loaded the model' }[action],
      );
  }
  for (const { nodeName, reason, detail } of refusals)
    if (reason !== 'no_model' && !said.has(nodeName)) said.set(nodeName, detail);
  const reasons = [...said].slice(0, 8).map(([name, why]) => `${name}: ${why}`);
  return reasons.length === 0
    ? `No node could take the request for ${target.model} in time: no node is connected.`
    : `No node could take the request for ${target.model} in time. ${reasons.join('; ')}.`;
};
