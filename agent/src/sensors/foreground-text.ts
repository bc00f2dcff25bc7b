import path from 'node:path';
import { z } from 'zod';
import { type DesktopView, isFullScreen } from './desktop-reports.ts';
import type { Sighting } from './foreground-watch.ts';
import type { GpuProcess } from './gpu-probe.ts';

/** Steam starts every game, Proton's too, below `reaper SteamLaunch AppId=<n> -- …`. Arguments are separated by NUL in /proc. */
export const steamAppOf = (cmdline: string): number | null => {
  const match = /(?:^|[\0 ])SteamLaunch[\0 ]AppId=(\d+)(?:[\0 ]|$)/.exec(cmdline);
  const app = Number(match?.[1] ?? 0);
  return app > 0 ? app : null;
};

/** The program's own name, without folders and `.exe`. Wine keeps Windows' backslashes. */
export const programName = (file: string): string => path.posix.basename(file.replaceAll('\\', '/')).replace(/\.exe$/i, '');

/** `i 2` as busctl prints a property; null when it prints something else. */
export const parseBusctlInt = (text: string): number | null => {
  const match = /^[iu] (\d+)\s*$/.exec(text.trim());
  return match ? Number(match[1]) : null;
};

/** Programs that draw on the GPU all day on a machine where nobody plays. Lower case, as `programName` gives them. */
const EVERYDAY = new Set([
  ...['xorg', 'x', 'xwayland', 'gnome-shell', 'kwin_x11', 'kwin_wayland', 'plasmashell', 'sway', 'hyprland', 'weston', 'mutter'],
  ...['cinnamon', 'xfwm4', 'compton', 'picom', 'gamescope-wl', 'cosmic-comp', 'niri', 'river', 'labwc', 'wayfire'],
  ...['firefox', 'firefox-bin', 'chrome', 'chromium', 'brave', 'msedge', 'opera', 'vivaldi', 'safari', 'thunderbird'],
  ...[
    'code',
    'slack',
    'discord',
    'spotify',
    'teams',
    'ms-teams',
    'obs',
    'obs64',
    'vlc',
    'mpv',
    'zoom',
    'signal-desktop',
    'electron',
  ],
  ...['steam', 'steamwebhelper', 'epicgameslauncher', 'epicwebhelper', 'battle.net', 'goggalaxy', 'lutris', 'heroic'],
  ...['dwm', 'explorer', 'searchhost', 'startmenuexperiencehost', 'shellexperiencehost', 'textinputhost', 'applicationframehost'],
  ...[
    'nvcontainer',
    'nvidia share',
    'nvidia overlay',
    'nvidia app',
    'nvdisplay.container',
    'gamebar',
    'gamebarftserver',
    'widgets',
  ],
  ...['msedgewebview2', 'systemsettings', 'csrss', 'lockapp', 'taskmgr', 'windowsterminal', 'wezterm-gui', 'alacritty', 'kitty'],
]);
/** Engines that we do not own compute through graphics interfaces, too. */
const ENGINES = new Set([
  'ollama',
  'ollama_llama_server',
  'llama-server',
  'vllm',
  'lms',
  'lm studio',
  'python',
  'python3',
  'mlx_lm.server',
]);

export const isEveryday = (name: string): boolean => {
  const plain = programName(name).toLowerCase();
  return EVERYDAY.has(plain) || ENGINES.has(plain);
};

/** A game holds more than a window does. Where memory is not told (Windows), the list of everyday programs has to do. */
const GAME_VRAM_BYTES = 300 * 1024 * 1024;

/** Graphics programs on the GPU with a game's appetite. */
export const graphicsSightings = (processes: readonly GpuProcess[] | null): Sighting[] =>
  (processes ?? []).flatMap((entry): Sighting[] => {
    if (entry.kind === 'compute' || entry.name === null || entry.usedBytes === null || entry.usedBytes < GAME_VRAM_BYTES)
      return [];
    return isEveryday(entry.name) ? [] : [{ source: 'graphics', name: programName(entry.name), pid: entry.pid }];
  });

/** Programs that run others: what they run is in their arguments. */
const INTERPRETER = /^(?:java|javaw|wine|wine64|wine-preloader|wine64-preloader|mono|dotnet|python[\d.]*|sh|bash)$/i;

/**
 * What the owner's rules call a game: a part of the program's path, or of the whole line of an interpreter. An editor that has a file of
 * that name open is none.
 */
export const ruleSighting = (games: readonly string[], pid: number, command: string): Sighting | null => {
  const [program = '', ...rest] = command.split('\0');
  const line = (INTERPRETER.test(programName(program)) ? [program, ...rest].join(' ') : program).toLowerCase();
  const rule = games.find((part) => line.includes(part.toLowerCase()));
  return rule === undefined ? null : { source: 'rule', name: rule, pid };
};

/** Old PowerShells write a list of one as the one. */
const listOf = <T extends z.ZodType>(item: T) =>
  z.preprocess((value) => (Array.isArray(value) || value === undefined ? value : [value]), z.array(item)).catch([]);

/** One line of JSON that the PowerShell loop prints; see foreground-windows.ts. */
const WindowsLook = z.object({
  steamAppId: z.number().catch(0),
  /** Share of the 3D engine by process, 0 to 100. */
  engines: listOf(z.object({ pid: z.number(), name: z.string(), percent: z.number() })),
  /** Names of running programs that the owner's rules may mean. */
  programs: listOf(z.object({ pid: z.number(), name: z.string() })),
  /** SHQueryUserNotificationState: 2 busy, 3 full-screen Direct3D, 4 presentation; 0 when it cannot be asked. */
  notificationState: z.number().catch(0),
});

const GAME_LOAD_PERCENT = 25;
/** With a program in full screen, less of a load is enough: menus and old games draw little. */
const FULL_SCREEN_LOAD_PERCENT = 8;

/** What one look at Windows saw, together with what the sessions reported; null when the line is none of ours. */
export const parseWindowsLook = (
  line: string,
  games: readonly string[],
  desktop: DesktopView | null = null,
): Sighting[] | null => {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return null;
  }
  const look = WindowsLook.safeParse(parsed);
  if (!look.success) return null;
  const { engines, programs } = look.data;
  const steamAppId = desktop?.steamAppId || look.data.steamAppId;
  const isFull = isFullScreen(look.data.notificationState) || isFullScreen(desktop?.notificationState ?? 0);
  const leastPercent = isFull ? FULL_SCREEN_LOAD_PERCENT : GAME_LOAD_PERCENT;
  return [
    ...programs.flatMap(({ pid, name }) => ruleSighting(games, pid, name) ?? []),
    ...(steamAppId > 0 ? [{ source: 'steam' as const, name: `Steam app ${steamAppId}`, pid: null }] : []),
    ...engines
      .filter(({ name, percent }) => percent >= leastPercent && !isEveryday(name))
      .map(({ pid, name }) => ({ source: 'graphics' as const, name: programName(name), pid })),
  ];
};

/** `[ASN:0x0-0x2b02b]:` or `ASN:0x0-0x2b02b:` as `lsappinfo front` prints it. */
export const parseFrontApp = (text: string): string | null => /ASN:0x[0-9a-f]+-0x[0-9a-f]+/i.exec(text)?.[0] ?? null;

/** `"LSApplicationCategoryType"="public.app-category.action-games"`; values that are not there are `[ NULL ]`. */
export const parseAppInfo = (text: string): { category: string | null; name: string | null; pid: number | null } => {
  const value = (key: string) => new RegExp(`"${key}"\\s*=\\s*"?([^"\\n]*)"?`).exec(text)?.[1]?.trim() ?? null;
  const known = (word: string | null) => (word === null || word === '' || /NULL/.test(word) ? null : word);
  const pid = Number(known(value('pid')) ?? Number.NaN);
  return {
    category: known(value('LSApplicationCategoryType')),
    name: known(value('LSDisplayName')) ?? known(value('name')),
    pid: Number.isInteger(pid) ? pid : null,
  };
};

/** The category is what macOS' own Game Mode goes by. */
export const frontAppSighting = (text: string): Sighting | null => {
  const { category, name, pid } = parseAppInfo(text);
  return category?.includes('games') ? { source: 'foreground', name: name ?? 'a game', pid } : null;
};
