import type { FleetNode } from '@lai/shared/fleet-api';
import type { GamingWish } from '@lai/shared/node';
import { useState } from 'react';
import { call } from '../client/call.ts';
import { serverNow, useNow } from '../live/clock.ts';
import { Dialog } from './dialog.tsx';
import { gigabytes, plural } from './format.ts';
import { gamingState } from './gaming-state.ts';
import { Icon } from './icon.tsx';
import { useRefusal } from './may.ts';
import { Problem } from './problem.tsx';
import { useAction } from './use-action.ts';

const HOUR_MS = 3_600_000;
const PATIENCE_MS = 10_000;
const MODES: readonly { mode: GamingWish['mode']; word: string }[] = [
  { mode: 'auto', word: 'Auto' },
  { mode: 'on', word: 'On' },
  { mode: 'off', word: 'Off' },
];

/** "I want my GPU": asked for here, done at the machine. What is pressed is what the machine says. */
export const GamingControl = ({ node }: { node: FleetNode }) => {
  const now = useNow();
  const [isChoosing, setChoosing] = useState(false);
  const [askedAtMs, setAskedAtMs] = useState<number | null>(null);
  const { mode, asked, line, refusal } = gamingState(node, now);
  const general = useRefusal();
  const why = refusal ?? general;
  const { name, id } = node.entry;
  const wish = useAction((gaming: { mode: GamingWish['mode']; untilMs: number | null } | null) =>
    call('PATCH /api/v1/nodes/{id}', { path: { id }, body: { gaming } }),
  );
  const ask = async (next: GamingWish['mode'], untilMs: number | null) => {
    setAskedAtMs(serverNow());
    setChoosing(false);
    // Auto is what the machine does when nobody wants anything.
    await wish.run(next === 'auto' ? null : { mode: next, untilMs });
  };
  const isLate = asked !== null && (askedAtMs === null || now - askedAtMs > PATIENCE_MS);
  const waiting = asked === null ? null : isLate ? `${name} has not answered yet.` : 'asked …';
  return (
    <div className="min-w-0">
      <fieldset aria-label={`Gaming on ${name}`} className="inline-flex overflow-hidden rounded-md border border-control">
        {MODES.map(({ mode: each, word }) => {
          const isPressed = mode === each;
          const look = isPressed ? (each === 'on' ? 'bg-game-soft font-semibold text-game' : 'bg-accent-soft font-semibold') : '';
          return (
            <button
              key={each}
              type="button"
              aria-pressed={isPressed}
              aria-disabled={why !== null}
              title={why ?? undefined}
              className={`flex min-h-8 cursor-pointer items-center gap-1 px-2.5 text-xs aria-disabled:cursor-not-allowed aria-disabled:text-muted pointer-coarse:min-h-11 pointer-coarse:px-3.5 ${look} ${asked === each ? 'animate-pulse underline' : ''}`}
              onClick={() => why === null && (each === 'on' ? setChoosing(true) : void ask(each, null))}
            >
              {each === 'on' && <Icon name="game" className="size-3.5" />}
              {word}
            </button>
          );
        })}
      </fieldset>
      <p className="small mt-1 min-h-4">
        {line}
        {waiting && <span className="text-wait"> · {waiting}</span>}
        {refusal && <span className="sr-only"> {refusal}</span>}
      </p>
      {wish.error !== null && <Problem error={wish.error} />}
      {isChoosing && (
        <Dialog title={`Gaming on ${name}`} description={consequence(node)} onClose={() => setChoosing(false)}>
          <div className="grid gap-2 sm:grid-cols-2">
            {spansFrom(serverNow()).map(({ word, untilMs }) => (
              <button key={word} type="button" className="btn" onClick={() => void ask('on', untilMs)}>
                {word}
              </button>
            ))}
          </div>
        </Dialog>
      )}
    </div>
  );
};

const consequence = ({ report }: FleetNode): string => {
  const freed = (report?.models ?? []).reduce((bytes, { vramBytes }) => bytes + (vramBytes ?? 0), 0);
  const running = report?.inFlight ?? 0;
  const runs =
    running > 0
      ? `${plural(running, 'request')} ${running === 1 ? 'runs' : 'run'} here; the owner's policy says how long ${running === 1 ? 'it' : 'they'} may finish, then ${running === 1 ? 'it moves' : 'they move'}. `
      : 'Nothing runs here now. ';
  const frees = freed > 0 ? `${gigabytes(freed)} of GPU memory are freed.` : 'No model is in its memory.';
  const forced = report?.gaming?.allowsForced ? ' Requests that force it are still served.' : '';
  return `${runs}${frees}${forced}`;
};

const spansFrom = (nowMs: number): { word: string; untilMs: number | null }[] => {
  const morning = new Date(nowMs);
  morning.setHours(7, 0, 0, 0);
  if (morning.getTime() <= nowMs) morning.setDate(morning.getDate() + 1);
  return [
    { word: '30 minutes', untilMs: nowMs + HOUR_MS / 2 },
    { word: '1 hour', untilMs: nowMs + HOUR_MS },
    { word: '2 hours', untilMs: nowMs + 2 * HOUR_MS },
    { word: '4 hours', untilMs: nowMs + 4 * HOUR_MS },
    { word: 'Until 07:00', untilMs: morning.getTime() },
    { word: 'Until I say', untilMs: null },
  ];
};
