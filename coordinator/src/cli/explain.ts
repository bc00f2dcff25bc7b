import { styleText } from 'node:util';
import { type ExplainedPlacement, Explanation } from '@lai/shared/admin-api';
import { escapedTexts } from '@lai/shared/terminal-text';
import { type Asked, askCoordinator, readAs } from './ask-coordinator.ts';

/** Why a request went where it went, for people: each attempt, and behind it who else could have had it and who could not. */
export const explanationText = (explanation: Explanation): string => {
  const { requestId, target, priority, queueMs, outcome, attempts, enqueuedAtMs, endedAtMs, lastPlacement, way } =
    escapedTexts(explanation);
  const needs = [...target.capabilities, ...(target.contextTokens > 0 ? [`${target.contextTokens} tokens of context`] : [])].join(
    ', ',
  );
  const lines = [
    styleText('bold', requestId),
    `asked for ${target.model}${needs ? ` (${needs})` : ''}, ${priority}, at ${new Date(enqueuedAtMs).toISOString()}`,
    `${queueMs === null ? 'never got a slot' : `waited ${queueMs} ms`}, ended after ${endedAtMs - enqueuedAtMs} ms: ${outcome}`,
  ];
  if (way) {
    lines.push(`route: ${[way.asked, way.step].filter((name) => name !== null).join(' > ')} (${way.because})`);
    for (const { step, reason, detail } of way.left) lines.push(`  ✗ ${step}: ${reason}${detail ? `, ${detail}` : ''}`);
  }
  attempts.forEach(({ node, model, outcome: ending, placement }, index) => {
    lines.push('', `attempt ${index + 1}: ${styleText('bold', node)} with ${model}: ${ending}`, ...placementLines(placement));
  });
  if (lastPlacement) lines.push('', 'when it gave up:', ...placementLines(lastPlacement));
  return `${lines.join('\n')}\n`;
};

const placementLines = (placement: ExplainedPlacement | null): string[] => {
  if (!placement) return ['  (chosen by another coordinator)'];
  const able = placement.candidates.map(({ node, model, action, expectedMs, parts }, index) => {
    const sum = Object.entries(parts).map(([part, value]) => `${part.replace(/Ms$/, '')} ${value}`);
    return `  ${index + 1}. ${node} / ${model}: ${action}, first token expected after ${expectedMs} ms (${sum.join(' + ')})`;
  });
  const unable = placement.refusals.map(
    ({ node, model, reason, detail }) => `  ✗ ${node}${model ? ` / ${model}` : ''}: ${reason}, ${detail}`,
  );
  return [...able, ...unable];
};

export const fetchExplanation = async (place: Asked, requestId: string): Promise<Explanation> =>
  readAs(Explanation, await askCoordinator(place, `/api/v1/requests/${encodeURIComponent(requestId)}/explanation`), place.url);
