import { setTimeout as pause } from 'node:timers/promises';
import type { JoinCommand, NewJoinCommand } from '@lai/shared/release-api';
import { adminCall } from './remote-administration.ts';

/** The coordinator may have to make the release first: 50 MB for two processors, over a slow line. */
const LIMIT_MS = 15 * 60_000;
const LOOK_EVERY_MS = 500;

/** The line for a machine; `say` is told each step of a release that has to be made for it. */
export const askJoinCommand = async (
  place: { url: string; key: string },
  wish: NewJoinCommand,
  say: (step: string) => void,
): Promise<JoinCommand> => {
  const asked = adminCall({ ...place, limitMs: LIMIT_MS })('POST /api/v1/join-commands', { body: wish });
  let isOver = false;
  const over = asked
    .catch(() => {})
    .then(() => {
      isOver = true;
    });
  let last = '';
  while (!isOver) {
    await Promise.race([over, pause(LOOK_EVERY_MS, undefined, { ref: false })]);
    if (isOver) break;
    const { making } = await adminCall(place)('GET /api/v1/updates').catch(() => ({ making: null }));
    if (making && making.step !== last) say(making.step);
    last = making?.step ?? last;
  }
  return asked;
};
