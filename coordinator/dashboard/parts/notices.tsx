import { useNow } from '../live/clock.ts';
import { useConnection, useIsNewVersion } from '../live/fleet-store.ts';
import { clock } from './format.ts';

/** What is true of the page itself: it may be old, or show what was. */
export const Notices = () => {
  const connection = useConnection();
  const isNewVersion = useIsNewVersion();
  return (
    <div role="status">
      {connection.kind === 'away' && <Away sinceMs={connection.sinceMs} />}
      {isNewVersion && (
        <p className="flex flex-wrap items-center gap-3 bg-accent-soft px-4 py-2">
          Lai was updated.
          <button type="button" className="cursor-pointer text-accent underline" onClick={() => location.reload()}>
            Reload the page
          </button>
        </p>
      )}
    </div>
  );
};

const Away = ({ sinceMs }: { sinceMs: number }) => (
  <p className="bg-wait-soft px-4 py-2 font-semibold text-wait">
    Not connected since {clock(sinceMs, useNow(), true)}. What you see is from then.
  </p>
);
