import type { Invariant } from './invariant.ts';

/** Takes that are under way when it arrives, and rounding. */
const ALLOWANCE = 4;

/** In a flood: so many requests of the heavy key begin between a light one's arrival and its beginning, at most. */
export const lightKeyGoesFirst: Invariant = {
  name: 'a light key does not wait behind a flooding one',
  watch: (world, violated) => {
    const slots = world.plan.nodes.reduce((sum, node) => sum + node.maxConcurrent, 0);
    const waiting = new Map<string, { heavyBegan: number; readonly lightAhead: number }>();
    const keys = new Map<string, string>();
    return {
      see: (happening) => {
        if (world.plan.profile !== 'flood') return;
        if (happening.kind === 'request.arrived') {
          const { id, key } = happening.request;
          keys.set(id, key);
          if (key === 'light') waiting.set(id, { heavyBegan: 0, lightAhead: waiting.size });
        }
        if (happening.kind === 'request.ended') waiting.delete(happening.requestId);
        if (happening.kind !== 'run.began') return;
        if (keys.get(happening.requestId) === 'heavy') for (const light of waiting.values()) light.heavyBegan += 1;
        const light = waiting.get(happening.requestId);
        waiting.delete(happening.requestId);
        const most = slots + ALLOWANCE + 2 * (light?.lightAhead ?? 0);
        if (light && light.heavyBegan > most)
          violated(`${happening.requestId} waited for ${light.heavyBegan} heavy ones; ${most} are allowed`);
      },
    };
  },
};
