/** Numbers as people read them. What is not known is "–", never 0. Pure. */

const UNKNOWN = '–';
const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

/** Binary, called GB as on the card's box; one decimal below 100. */
export const gigabytes = (bytes: number | null | undefined): string => {
  if (bytes === null || bytes === undefined) return UNKNOWN;
  if (bytes > 0 && bytes < 0.1 * GIB) return `${Math.max(1, Math.round(bytes / MIB))} MB`;
  return `${gib(bytes)} GB`;
};

const gib = (bytes: number): string => (bytes / GIB >= 99.95 ? String(Math.round(bytes / GIB)) : (bytes / GIB).toFixed(1));

/** "14.9 of 16.0 GB used", with what is free behind it where both are known. */
export const usage = (used: number | null, total: number | null, free: number | null): string => {
  if (total === null) return used === null ? 'memory not known' : `${gigabytes(used)} used`;
  if (used === null) return `${gigabytes(total)} of memory, use not known`;
  return `${gib(used)} of ${gib(total)} GB used · ${gib(free ?? total - used)} free`;
};

export const percent = (share: number | null | undefined): string =>
  share === null || share === undefined ? UNKNOWN : `${Math.round(share * 100)} %`;

export const degrees = (celsius: number | null | undefined): string =>
  celsius === null || celsius === undefined ? UNKNOWN : `${Math.round(celsius)} °C`;

export const watts = (power: number | null | undefined): string =>
  power === null || power === undefined ? UNKNOWN : `${Math.round(power)} W`;

export const rate = (perSecond: number | null | undefined): string =>
  perSecond === null || perSecond === undefined
    ? UNKNOWN
    : `${perSecond < 9.95 ? perSecond.toFixed(1) : Math.round(perSecond)} tok/s`;

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const two = (value: number): string => String(value).padStart(2, '0');

/** 640 ms · 4.2 s · 3:20 min · 2:05 h · 3 d */
export const duration = (ms: number | null | undefined): string => {
  if (ms === null || ms === undefined) return UNKNOWN;
  if (ms < SECOND) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 59.95 * SECOND) return `${ms < 10 * SECOND ? (ms / SECOND).toFixed(1) : Math.round(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)}:${two(Math.floor((ms % MINUTE) / SECOND))} min`;
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)}:${two(Math.floor((ms % HOUR) / MINUTE))} h`;
  return `${Math.floor(ms / DAY)} d`;
};

/** Of what runs out: 4:10 · 1:12:04, of the same width while it runs. */
export const countdown = (ms: number): string => {
  const left = Math.max(0, Math.round(ms / SECOND));
  const [hours, minutes, seconds] = [Math.floor(left / 3_600), Math.floor((left % 3_600) / 60), left % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
};

/** How long ago, for a sentence: "8 s", "8 min", "3 h", "2 days". */
export const span = (ms: number): string => {
  if (ms < MINUTE) return `${Math.max(0, Math.round(ms / SECOND))} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h`;
  return `${Math.floor(ms / DAY)} days`;
};

/** 14:02 today, with the date on another day. */
export const clock = (atMs: number, nowMs: number, withSeconds = false): string => {
  const at = new Date(atMs);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}${withSeconds ? `:${two(at.getSeconds())}` : ''}`;
  if (at.toDateString() === new Date(nowMs).toDateString()) return time;
  return `${at.toLocaleDateString(undefined, { day: 'numeric', month: 'short' })} ${time}`;
};

export const plural = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

const SYSTEMS: Record<string, string> = { linux: 'Linux', darwin: 'macOS', win32: 'Windows' };
export const systemName = (platform: string): string => SYSTEMS[platform] ?? platform;

export const commas = (words: readonly string[]): string =>
  words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
