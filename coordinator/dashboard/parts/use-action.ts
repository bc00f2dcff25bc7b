import { useCallback, useState } from 'react';

export interface Action<Args extends readonly unknown[]> {
  /** Resolves to true when the coordinator took it. What it leads to is seen in the fleet, not assumed. */
  run(...args: Args): Promise<boolean>;
  readonly isBusy: boolean;
  readonly error: unknown;
  clear(): void;
}

/** Something that somebody asks for: busy until the coordinator has taken it, or said why not. */
export const useAction = <Args extends readonly unknown[]>(act: (...args: Args) => Promise<unknown>): Action<Args> => {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const run = async (...args: Args): Promise<boolean> => {
    setBusy(true);
    setError(null);
    try {
      await act(...args);
      return true;
    } catch (thrown) {
      setError(thrown);
      return false;
    } finally {
      setBusy(false);
    }
  };
  const clear = useCallback(() => setError(null), []);
  return { run, isBusy, error, clear };
};
