import { fewEnginesKilled, noInnocentBlocked, oneLoadAtATime, redisIsSpared } from './dangers.ts';
import { lightKeyGoesFirst } from './fairness.ts';
import type { Invariant } from './invariant.ts';
import { endsOnceInTime, fewAttempts, nodesUnderstand, noStaleEpoch, oneAnswer } from './requests.ts';
import { nobodyWaitsBesideAFreeSlot, nothingLeft, slotsAgree } from './slots.ts';

export const invariants: readonly Invariant[] = [
  endsOnceInTime,
  oneAnswer,
  fewAttempts,
  noStaleEpoch,
  nodesUnderstand,
  nothingLeft,
  slotsAgree,
  nobodyWaitsBesideAFreeSlot,
  fewEnginesKilled,
  noInnocentBlocked,
  oneLoadAtATime,
  redisIsSpared,
  lightKeyGoesFirst,
];
