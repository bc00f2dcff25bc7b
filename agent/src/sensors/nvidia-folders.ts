/**
 * Newer drivers copy nvidia-smi to System32; some leave it only in their DriverStore folder (`nv_dispi.inf_amd64_…`, `nvdm…`), of
 * which old versions stay behind, so the newest is taken; drivers before 2020 had NVSMI under Program Files.
 */
export function nvidiaFolders(input: {
  systemRoot: string;
  programFiles: string;
  driverStore: readonly { path: string; changedMs: number }[];
}): readonly string[] {
  const newest = input.driverStore.toSorted((a, b) => b.changedMs - a.changedMs)[0];
  return [
    `${input.systemRoot}\\System32`,
    ...(newest === undefined ? [] : [newest.path]),
    `${input.programFiles}\\NVIDIA Corporation\\NVSMI`,
  ];
}
