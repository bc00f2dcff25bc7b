import { useLocation, useSearch } from 'wouter';
import { Icon } from './icon.tsx';
import { useRefusal } from './may.ts';

/** `?add` on any page opens the dialog, so it has an address, and Back closes it. */
export const useAddMachine = () => {
  const [location, navigate] = useLocation();
  const search = useSearch();
  return {
    isOpen: new URLSearchParams(search).has('add'),
    open: () => navigate(`${location}?add`),
    close: () => navigate(location, { replace: true }),
  };
};

export const AddMachineButton = () => {
  const { open } = useAddMachine();
  const refusal = useRefusal();
  return (
    <button
      type="button"
      className="btn btn-primary"
      aria-disabled={refusal !== null}
      title={refusal ?? undefined}
      onClick={() => refusal === null && open()}
    >
      <Icon name="plus" />
      Add a machine
    </button>
  );
};
