import { setTimeout as sleep } from 'node:timers/promises';

/** The answer, or null when it fails or takes longer; for calls that cannot be cancelled (a hung network mount, PowerShell). */
export async function within<T>(deadlineMs: number, answer: Promise<T>): Promise<T | null> {
  const given = new AbortController();
  const late = sleep(deadlineMs, null, { ref: false, signal: given.signal }).catch(() => null);
  return Promise.race([answer.catch(() => null), late]).finally(() => given.abort());
}
