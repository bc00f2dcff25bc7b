import { type ReactNode, useEffect } from 'react';

/** What the page is, in the page and in the window's title. */
export const PageHead = ({ title, lead, action }: { title: string; lead?: ReactNode; action?: ReactNode }) => {
  useEffect(() => {
    document.title = `${title} · Lai`;
  }, [title]);
  return (
    <header className="mb-4 flex flex-wrap items-center gap-x-4 gap-y-2">
      <div className="min-w-0 flex-1">
        <h1 className="truncate text-xl">{title}</h1>
        {lead && <p className="text-muted">{lead}</p>}
      </div>
      {action}
    </header>
  );
};
