import { lazy, type ReactNode, Suspense, useEffect } from 'react';
import { Link, useLocation } from 'wouter';
import { useConnection, useNodeIds } from './live/fleet-store.ts';
import { useAddMachine } from './parts/add-machine-link.tsx';
import { warmUpDialogs } from './parts/dialog.tsx';
import { Icon, type IconName } from './parts/icon.tsx';
import { useSession } from './parts/may.ts';
import { Notices } from './parts/notices.tsx';
import { cycleTheme } from './parts/theme.ts';

const AddMachine = lazy(() => import('./pages/add-machine/add-machine.tsx'));

const PLACES: readonly { path: string; word: string; icon: IconName }[] = [
  { path: '/', word: 'Overview', icon: 'overview' },
  { path: '/machines', word: 'Machines', icon: 'machines' },
  { path: '/models', word: 'Models', icon: 'models' },
];

/** What stands around every page. */
export const Shell = ({ children }: { children: ReactNode }) => {
  const hasLevel = useNodeIds() !== null;
  const { isOpen, close } = useAddMachine();
  // After the first data is on the screen, so that nothing competes with it.
  useEffect(() => {
    if (hasLevel) warmUpDialogs();
  }, [hasLevel]);
  return (
    <div className="min-h-dvh md:grid md:grid-cols-[208px_minmax(0,1fr)]">
      <a href="#main" className="btn absolute -top-20 left-2 z-50 focus:top-2">
        Skip to content
      </a>
      <Side />
      <div className="min-w-0">
        <Notices />
        <main id="main" tabIndex={-1} className="mx-auto max-w-[1440px] px-4 pt-5 pb-24 outline-none md:px-6 md:pb-10">
          {children}
        </main>
      </div>
      <Tabs />
      {isOpen && (
        <Suspense fallback={null}>
          <AddMachine onClose={close} />
        </Suspense>
      )}
    </div>
  );
};

const useIsHere = () => {
  const [location] = useLocation();
  return (path: string) => (path === '/' ? location === '/' : location === path || location.startsWith(`${path}/`));
};

const Side = () => {
  const isHere = useIsHere();
  const { data } = useSession();
  const role = data?.user ? (data.user.role === 'admin' ? 'manages' : 'looks') : '';
  return (
    <header className="sticky top-0 hidden h-dvh flex-col border-line border-r bg-surface px-3 py-4 md:flex">
      <Link href="/" className="mb-5 flex items-center gap-2.5 px-2 text-base font-semibold text-text hover:no-underline">
        <img src="/ui/icon.svg" alt="" width="24" height="24" /> Lai
      </Link>
      <nav aria-label="Main" className="grid gap-0.5">
        {PLACES.map(({ path, word, icon }) => (
          <Link
            key={path}
            href={path}
            aria-current={isHere(path) ? 'page' : undefined}
            className={`flex min-h-9 items-center gap-2.5 rounded-md px-2.5 text-text hover:bg-canvas hover:no-underline ${isHere(path) ? 'bg-accent-soft font-semibold' : ''}`}
          >
            <Icon name={icon} className={isHere(path) ? 'text-accent' : 'text-muted'} /> {word}
          </Link>
        ))}
      </nav>
      <div className="mt-auto grid gap-0.5">
        <Live />
        <a
          href="/docs"
          className="flex min-h-9 items-center gap-2.5 rounded-md px-2.5 text-text hover:bg-canvas hover:no-underline"
        >
          <Icon name="book" className="text-muted" /> API
        </a>
        <button
          type="button"
          className="flex min-h-9 cursor-pointer items-center gap-2.5 rounded-md px-2.5 hover:bg-canvas"
          onClick={cycleTheme}
        >
          <Icon name="theme" className="text-muted" /> Light or dark
        </button>
        <a
          href="/sign-in"
          className="flex min-h-9 items-center gap-2.5 rounded-md px-2.5 text-text hover:bg-canvas hover:no-underline"
        >
          <Icon name="person" className="text-muted" />
          <span className="min-w-0 truncate">{data ? data.name : 'Account'}</span>
          <span className="small">{role}</span>
        </a>
      </div>
    </header>
  );
};

const WORDS = { connecting: 'connecting …', live: 'live', away: 'not connected' } as const;

const Live = () => {
  const { kind } = useConnection();
  return (
    <p role="status" className="small flex items-center gap-2.5 px-2.5 py-2">
      <Icon
        name={kind === 'live' ? 'ok' : kind === 'away' ? 'bad' : 'wait'}
        className={`size-3 ${kind === 'live' ? 'text-ok' : kind === 'away' ? 'text-bad' : 'text-wait'}`}
      />
      {WORDS[kind]}
    </p>
  );
};

const TAB = 'flex min-h-14 flex-col items-center justify-center gap-0.5 text-xs text-text hover:no-underline';

/** On a phone, in reach of the thumb. */
const Tabs = () => {
  const isHere = useIsHere();
  return (
    <nav
      aria-label="Main"
      className="fixed inset-x-0 bottom-0 z-30 grid grid-cols-4 border-line border-t bg-surface pb-[env(safe-area-inset-bottom)] md:hidden"
    >
      {PLACES.map(({ path, word, icon }) => (
        <Link
          key={path}
          href={path}
          aria-current={isHere(path) ? 'page' : undefined}
          className={`${TAB} ${isHere(path) ? 'font-semibold' : ''}`}
        >
          <Icon name={icon} className={isHere(path) ? 'text-accent' : 'text-muted'} />
          {word}
        </Link>
      ))}
      <a href="/sign-in" className={TAB}>
        <Icon name="person" className="text-muted" />
        Account
      </a>
    </nav>
  );
};
