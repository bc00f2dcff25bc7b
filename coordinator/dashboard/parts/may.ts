import type { WhoAmI } from '@lai/shared/admin-api';
import { useQuery } from '@tanstack/react-query';
import { call } from '../client/call.ts';
import { useConnection } from '../live/fleet-store.ts';

const REFRESH_MS = 5 * 60_000;

/** Who is signed in. Asked again while the page is seen, which is what keeps the session. */
export const useSession = () =>
  useQuery<WhoAmI>({
    queryKey: ['session'],
    queryFn: () => call('GET /api/v1/session'),
    refetchInterval: REFRESH_MS,
    staleTime: REFRESH_MS,
  });

/** Why nothing can be changed here now; null when it can. */
export const useRefusal = (): string | null => {
  const { data } = useSession();
  const connection = useConnection();
  if (connection.kind === 'away') return 'Not connected: nothing can be asked for now.';
  if (data && !data.scopes.includes('admin')) return `${data.name} may look, not change. An admin can give the right.`;
  return null;
};
