import './style.css';
import type { WhoAmI } from '@lai/shared/admin-api';
import type { ChangedList } from '@lai/shared/fleet-api';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import { ApiError, whenSignedOut } from './client/call.ts';
import { startFeed } from './live/feed.ts';
import { signOutSeen } from './live/signed-out.ts';

/** Lists that a word of the feed makes old. */
const OLD: Record<ChangedList, string> = {
  ...{ nodes: 'nodes', models: 'models', keys: 'keys', tokens: 'tokens', users: 'users', updates: 'updates' },
};

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // The feed says when something has changed; nothing is polled.
      staleTime: Number.POSITIVE_INFINITY,
      refetchOnWindowFocus: false,
      retry: (failures, error) => failures < 2 && error instanceof ApiError && error.status === 0,
    },
  },
});

const signedOut = () => {
  // Whoever comes for the first time is sent to the door; whoever was here keeps the page.
  const known = client.getQueryData<WhoAmI>(['session']);
  if (known) signOutSeen(known.name);
  else location.replace(`/sign-in?to=${encodeURIComponent(location.pathname + location.search)}`);
};

whenSignedOut(signedOut);
startFeed({ changed: (what) => void client.invalidateQueries({ queryKey: [OLD[what]] }), signedOut });
// A page of an older version asks for pieces that are gone.
window.addEventListener('vite:preloadError', () => location.reload());

const root = document.getElementById('root');
if (root)
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <App />
      </QueryClientProvider>
    </StrictMode>,
  );
