import type { ChangedList, FeedEvent, FeedEventName } from '@lai/shared/fleet-api';
import { serverNow, setServerTime } from './clock.ts';
import { currentLevel, forgetFleet, setConnection, takeEvent } from './fleet-store.ts';

const NAMES: readonly FeedEventName[] = ['hello', 'fleet', 'node', 'node.gone', 'counts', 'command', 'changed', 'beat', 'bye'];
/** Three beats missed: the connection is dead, though nobody has said so. */
const SILENT_MS = 16_000;
/** A moment without a connection is not worth alarming anybody. */
const AWAY_AFTER_MS = 3_000;
const RETRY_MS = { first: 1_000, most: 30_000 };
const NAME = 'lai-feed';

/** What tabs of one browser tell each other: one of them has the connection, all of them see what it brings. */
type Tab =
  | { readonly kind: 'event'; readonly name: FeedEventName; readonly json: string }
  | { readonly kind: 'ask' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'signed_out' };

export interface FeedListeners {
  changed(what: ChangedList): void;
  /** Nobody is signed in: nothing comes until somebody is. */
  signedOut(): void;
}

const channel = new BroadcastChannel(NAME);
const tell = (message: Tab): void => channel.postMessage(message);

let listeners: FeedListeners = { changed: () => {}, signedOut: () => {} };
let source: EventSource | null = null;
let isLeading = false;
let heardAtMs = performance.now();
let lastVersion = '';
let failures = 0;
let retry: ReturnType<typeof setTimeout> | undefined;
let away: ReturnType<typeof setTimeout> | undefined;

/** Starts once per page. The first tab leads; when it closes, the lock goes to the next one. */
export const startFeed = (given: FeedListeners): void => {
  listeners = given;
  channel.onmessage = ({ data }: MessageEvent<Tab>) => hear(data);
  tell({ kind: 'ask' });
  void navigator.locks.request(NAME, () => {
    isLeading = true;
    connect();
    // Held until the page goes.
    return new Promise<void>(() => {});
  });
  setInterval(() => {
    if (performance.now() - heardAtMs < SILENT_MS) return;
    heardAtMs = performance.now();
    if (isLeading) lost();
    else lose();
  }, 2_000);
};

/** Somebody has signed in again, here or in another tab. */
export const resumeFeed = (): void => {
  failures = 0;
  if (isLeading) connect();
  else tell({ kind: 'ask' });
};

/** Nothing of the fleet stays in any tab. */
export const endFeed = (): void => {
  tell({ kind: 'signed_out' });
  close();
  forgetFleet();
};

const connect = (): void => {
  close();
  const next = new EventSource('/api/v1/events');
  source = next;
  heardAtMs = performance.now();
  for (const name of NAMES)
    next.addEventListener(name, ({ data }: MessageEvent<string>) => {
      take(name, data);
      tell({ kind: 'event', name, json: data });
    });
  next.onerror = () => void lost();
};

const close = (): void => {
  source?.close();
  source = null;
  clearTimeout(retry);
};

const take = (name: FeedEventName, json: string): void => {
  heardAtMs = performance.now();
  const data = JSON.parse(json) as FeedEvent<FeedEventName>;
  if ('serverTimeMs' in data) setServerTime(data.serverTimeMs);
  if (name === 'hello') lastVersion = json;
  if (name === 'fleet') {
    failures = 0;
    clearTimeout(away);
    away = undefined;
  }
  if (name === 'changed') listeners.changed((data as FeedEvent<'changed'>).what);
  else takeEvent(name, data as never);
};

/** The connection is gone: why, and when to try again? */
const lost = async (): Promise<void> => {
  close();
  lose();
  tell({ kind: 'gone' });
  const status = await fetch('/api/v1/session').then(
    (response) => response.status,
    () => 0,
  );
  if (status === 401 || status === 403) {
    tell({ kind: 'signed_out' });
    return listeners.signedOut();
  }
  // Full jitter: a hundred pages must not come back at the same moment.
  const mostMs = Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** failures);
  failures += 1;
  clearTimeout(retry);
  retry = setTimeout(connect, Math.random() * mostMs);
};

const lose = (): void => {
  const sinceMs = serverNow();
  away ??= setTimeout(() => setConnection({ kind: 'away', sinceMs }), AWAY_AFTER_MS);
};

const hear = (message: Tab): void => {
  if (message.kind === 'event') take(message.name, message.json);
  else if (message.kind === 'gone') lose();
  else if (message.kind === 'signed_out') {
    close();
    listeners.signedOut();
  } else if (isLeading && source) answerNewcomer();
  else if (isLeading) resumeFeed();
};

/** A tab that was just opened gets what this one knows. */
const answerNewcomer = (): void => {
  const level = currentLevel();
  if (!level) return;
  const { version } = JSON.parse(lastVersion) as FeedEvent<'hello'>;
  tell({ kind: 'event', name: 'hello', json: lastVersion });
  tell({ kind: 'event', name: 'fleet', json: JSON.stringify({ ...level, version, serverTimeMs: serverNow() }) });
};
