import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { parseWindowsLook } from './foreground-text.ts';
import { type ForegroundEnv, type ForegroundWatch, onlyNews } from './foreground-watch.ts';

const RESTART_AFTER_MS = 30_000;

/**
 * One PowerShell that looks for ever and prints a line of JSON per look: starting one costs a second of CPU. CIM classes instead of
 * `Get-Counter`, whose names are translated. `HKCU` is the user's only when the agent runs in the user's session; a service reads every
 * loaded user's hive below HKEY_USERS instead, which is why both are asked. A service with
 * an account of its own may read none of them: there the desktop's reporter tells (desktop-reports.ts). Not run on a real Windows yet.
 */
export const windowsLoop = (everyMs: number): string =>
  `
$ErrorActionPreference = 'SilentlyContinue'
$shell = Add-Type -PassThru -Name Shell -Namespace Lai -MemberDefinition '[DllImport("shell32.dll")] public static extern int SHQueryUserNotificationState(out int s);'
while ($true) {
  $app = 0
  foreach ($hive in @('HKCU:') + @(Get-ChildItem Registry::HKEY_USERS | ForEach-Object { 'Registry::' + $_.Name })) {
    $id = (Get-ItemProperty -Path "$hive\\Software\\Valve\\Steam" -Name RunningAppID).RunningAppID
    if ($id -gt 0) { $app = $id }
  }
  $names = @{}
  foreach ($p in Get-Process) { $names[[int]$p.Id] = $p.ProcessName }
  $load = @{}
  foreach ($e in Get-CimInstance Win32_PerfFormattedData_GPUPerformanceCounters_GPUEngine -Filter "Name like '%engtype_3D'") {
    if ($e.UtilizationPercentage -gt 0 -and $e.Name -match '^pid_(\\d+)_') { $load[[int]$Matches[1]] += [double]$e.UtilizationPercentage }
  }
  $state = 0; [void]$shell::SHQueryUserNotificationState([ref]$state)
  $engines = @($load.Keys | ForEach-Object { @{ pid = $_; name = [string]$names[$_]; percent = $load[$_] } })
  $programs = @($names.Keys | ForEach-Object { @{ pid = $_; name = $names[$_] } })
  [Console]::Out.WriteLine((@{ steamAppId = $app; engines = $engines; programs = $programs; notificationState = $state } | ConvertTo-Json -Compress -Depth 4))
  [Console]::Out.Flush()
  Start-Sleep -Milliseconds ${everyMs}
}`.trim();

export function startWindowsForeground(env: ForegroundEnv): ForegroundWatch {
  const tell = onlyNews(env.onSightings);
  const closing = new AbortController();
  let trouble: string | null = null;
  const loop = (async () => {
    while (!closing.signal.aborted) {
      const shell = execa('powershell.exe', ['-NoProfile', '-NonInteractive', '-Command', windowsLoop(env.everyMs)], {
        reject: false,
        stdin: 'ignore',
        stderr: 'ignore',
        buffer: false,
        cancelSignal: closing.signal,
        windowsHide: true,
      });
      try {
        for await (const line of shell.iterable()) {
          const sightings = parseWindowsLook(line, env.games(), env.desktop());
          if (sightings !== null) tell(sightings);
        }
      } catch {
        // It ended; why is told below.
      }
      await shell;
      trouble = 'The program that looks for games ended; it is started again.';
      await sleep(RESTART_AFTER_MS, undefined, { signal: closing.signal, ref: false }).catch(() => {});
    }
  })();
  return {
    trouble: () => trouble,
    close: async () => {
      closing.abort();
      await loop;
    },
  };
}
