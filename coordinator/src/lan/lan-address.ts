import type { NetworkInterfaceInfo } from 'node:os';

/** Networks that a program made on this machine: containers, virtual machines, tunnels. Others on the LAN cannot reach them. */
const VIRTUAL =
  /^(?:docker|br-|veth|virbr|vmnet|vboxnet|cni|flannel|cali|podman|lxc|lxd|utun|tun|tap|wg|zt|tailscale|bridge\d|awdl|llw|anpi)/i;
const PRIVATE = /^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)/;

type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>;

/**
 * The address by which other machines of the local network reach this one. Pure. Real network cards come before virtual ones, private
 * addresses before public ones. Null when there is no network.
 */
export const lanAddress = (interfaces: Interfaces): string | null => {
  const found = Object.entries(interfaces).flatMap(([name, addresses = []]) =>
    addresses
      .filter(({ family, internal, address }) => family === 'IPv4' && !internal && !address.startsWith('169.254.'))
      .map(({ address }) => ({ address, rank: (VIRTUAL.test(name) ? 2 : 0) + (PRIVATE.test(address) ? 0 : 1) })),
  );
  return found.sort((one, other) => one.rank - other.rank)[0]?.address ?? null;
};

/** Every address of this machine, for the certificate: which one a machine uses is not known beforehand. */
export const ownAddresses = (interfaces: Interfaces): string[] =>
  Object.values(interfaces)
    .flatMap((addresses = []) => addresses)
    .filter(({ family, scopeid }) => family === 'IPv4' || scopeid === 0)
    .map(({ address }) => address);
