import { ApiError } from '../client/call.ts';

/** What went wrong, in the coordinator's own words, where it went wrong. */
export const Problem = ({ error, retry }: { error: unknown; retry?: () => void }) => {
  const { message, requestId } =
    error instanceof ApiError ? error : { message: error instanceof Error ? error.message : String(error), requestId: null };
  return (
    <div role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad">
      <p>{message}</p>
      <p className="mt-1 flex flex-wrap items-center gap-3 text-xs">
        {requestId && <span className="font-mono">{requestId}</span>}
        {retry && (
          <button type="button" className="cursor-pointer underline" onClick={retry}>
            Try again
          </button>
        )}
      </p>
    </div>
  );
};

/** Something will be here. It says nothing for a moment, and keeps the place. */
export const Loading = ({ height }: { height: number }) => (
  <div className="late skeleton" style={{ height }} role="status">
    <span className="sr-only">Loading …</span>
  </div>
);

/** There is nothing, and this is what ends that. */
export const Empty = ({ children, action }: { children: React.ReactNode; action?: React.ReactNode }) => (
  <div className="card flex flex-col items-center gap-4 px-6 py-12 text-center">
    <p className="max-w-md text-base text-muted">{children}</p>
    {action}
  </div>
);
