import type { ErrorCode } from '@lai/shared/errors';

/** What may wait at once. A request beyond is told so at once, with the time after which there is likely room. */
export const ADMISSION_LIMITS = {
  waiting: 4_000,
  waitingPerTarget: 1_000,
  waitingPerKey: 600,
  /** Bodies of waiting and running requests; what is held while they are read and answered is counted in held-memory.ts. */
  heldBytes: 256 * 1024 * 1024,
} as const;

export type AdmissionLimits = { readonly [limit in keyof typeof ADMISSION_LIMITS]: number };

export interface Crowd {
  readonly waiting: number;
  readonly waitingForTarget: number;
  readonly waitingOfKey: number;
  readonly heldBytes: number;
}

export type AdmissionRefusal = { readonly code: ErrorCode; readonly message: string };

/** Pure: may one more request, with a body of so many bytes, join this crowd? */
export const refuseAdmission = (crowd: Crowd, bodyBytes: number, limits: AdmissionLimits): AdmissionRefusal | null => {
  if (crowd.waitingOfKey >= limits.waitingPerKey) {
    return {
      code: 'rate_limit_exceeded',
      message: `This key has ${crowd.waitingOfKey} requests waiting already. Wait as long as Retry-After says.`,
    };
  }
  if (crowd.waitingForTarget >= limits.waitingPerTarget) {
    return {
      code: 'queue_full',
      message: `${crowd.waitingForTarget} requests wait for this model already. Wait as long as Retry-After says.`,
    };
  }
  if (crowd.waiting >= limits.waiting || crowd.heldBytes + bodyBytes > limits.heldBytes) {
    return { code: 'queue_full', message: 'The coordinator holds as many requests as it can. Wait as long as Retry-After says.' };
  }
  return null;
};
