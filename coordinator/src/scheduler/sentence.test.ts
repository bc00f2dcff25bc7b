import { describe, expect, it } from 'vitest';
import { target } from './__fixtures__/fleet.ts';
import type { Refusal } from './filters.ts';
import type { Candidate, Placement } from './place.ts';
import { sentenceFor, sentenceForNever } from './sentence.ts';

const candidate = (nodeName: string, action: Candidate['action']): Candidate => ({
  nodeId: `node_${nodeName}`,
  nodeName,
  epoch: 1,
  model: 'm',
  action,
  score: { waitMs: 0, loadMs: 0, evictMs: 0, spillMs: 0, prefillMs: 0, crowdMs: 0, affinityMs: 0 },
  expectedMs: 0,
  isForced: false,
  nodeSlots: 1,
  modelSlots: 1,
});
const refusal = (nodeName: string, reason: Refusal['reason'], detail: string, model: string | null = 'm'): Refusal => ({
  nodeId: `node_${nodeName}`,
  nodeName,
  model,
  reason,
  detail,
});
const placement = (candidates: Candidate[], refusals: Refusal[] = []): Placement => ({
  decision: { kind: 'wait' },
  candidates,
  refusals,
});

describe('why a request found no place in time', () => {
  it.each<[string, Placement, string]>([
    ['nobody is there', placement([]), 'No node could take the request for m in time: no node is connected.'],
    [
      'every machine has a reason of its own',
      placement(
        [candidate('attic', 'wait'), candidate('cellar', 'load'), candidate('desk', 'run')],
        [refusal('gaming-pc', 'held', 'gaming (detected)')],
      ),
      'No node could take the request for m in time. attic: is busy or still loading the model; cellar: has not loaded the model; desk: has a slot only now; gaming-pc: gaming (detected).',
    ],
    [
      'a machine is named once, with its best reason',
      placement(
        [candidate('attic', 'wait'), candidate('attic', 'load')],
        [refusal('attic', 'does_not_fit', 'too big'), refusal('cellar', 'suspect', 'silent'), refusal('cellar', 'held', 'later')],
      ),
      'No node could take the request for m in time. attic: is busy or still loading the model; cellar: silent.',
    ],
    [
      'machines without the model are of no interest',
      placement([], [refusal('attic', 'no_model', 'does not have m', null), refusal('cellar', 'offline', 'not connected')]),
      'No node could take the request for m in time. cellar: not connected.',
    ],
  ])('%s', (_, found, sentence) => {
    expect(sentenceFor(target(), found)).toBe(sentence);
  });

  it('stays one line for a large fleet', () => {
    const many = Array.from({ length: 50 }, (_, index) => refusal(`node${index}`, 'held', 'gaming'));
    expect(sentenceFor(target(), placement([], many)).match(/gaming/g)).toHaveLength(8);
  });
});

describe('why a request will never find a place', () => {
  it.each<[string, Placement, string[], string]>([
    ['there is nothing yet', placement([]), [], 'No node has a model "m". There are no models yet.'],
    [
      'the model is somewhere else',
      placement([], [refusal('attic', 'no_model', 'does not have m', null)]),
      ['llama3', 'qwen'],
      'No node has a model "m". There is: llama3, qwen.',
    ],
    [
      'the models that are meant lack something',
      placement(
        [],
        [
          refusal('attic', 'capability_missing', 'cannot do vision', 'm:latest'),
          refusal('attic', 'capability_missing', 'cannot do vision', 'm:latest'),
          refusal('cellar', 'no_model', 'does not have m', null),
        ],
      ),
      ['m'],
      'No node can serve this request for m. m:latest on attic: cannot do vision.',
    ],
  ])('%s', (_, found, known, sentence) => {
    expect(sentenceForNever(target(), found, known)).toBe(sentence);
  });

  it('stays one line for a large fleet', () => {
    const many = Array.from({ length: 50 }, (_, index) => refusal(`node${index}`, 'context_too_short', 'short'));
    expect(sentenceForNever(target(), placement([], many), []).match(/short/g)).toHaveLength(8);
    const names = Array.from({ length: 50 }, (_, index) => `model${index}`);
    expect(sentenceForNever(target(), placement([]), names).match(/model\d/g)).toHaveLength(10);
  });
});
