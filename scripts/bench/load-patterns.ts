import { setTimeout as pause } from 'node:timers/promises';
import { type Exchange, Line, requestBytes, type Watch } from './exchange.ts';
import type { LoadSpec, Pattern } from './load-spec.ts';

/** What a pattern tells while it runs. `open` and `close` mark the measured time. */
export interface Observer {
  open(): void;
  close(): void;
  ended(exchange: Exchange): void;
}

type Of<K extends Pattern['kind']> = Extract<Pattern, { kind: K }>;

/** One request at a time on each of `inFlight` connections. Starts are spread over the first answer's length, else all go in step for ever. */
export const runClosed = async (spec: LoadSpec, pattern: Of<'closed'>, watch: Watch, observer: Observer): Promise<void> => {
  const request = requestBytes(spec);
  const lines = await openLines(spec, pattern.inFlight, watch);
  const answerMs = spec.firstTokenMs + (spec.tps > 0 ? (spec.tokens * 1_000) / spec.tps : 0);
  // One answer on each first: the connection, the target's caches and its queue are then in use already.
  await Promise.all(
    lines.map(async (line, at) => {
      await pause((answerMs * at) / lines.length);
      await line.ask(request);
    }),
  );
  observer.open();
  const untilMs = performance.now() + pattern.durationMs;
  await Promise.all(
    lines.map(async (first, at) => {
      let line = first;
      await pause((answerMs * at) / lines.length);
      while (performance.now() < untilMs) {
        const exchange = await line.ask(request);
        observer.ended(exchange);
        if (line.isClosed) line = await Line.open(spec, watch);
      }
      line.close();
    }),
  );
  observer.close();
};

/** Poisson arrivals from a seed, so that both sides of a pair get the same ones. */
export const arrivalTimes = ({
  perSecond,
  durationMs,
  seed,
}: {
  perSecond: number;
  durationMs: number;
  seed: number;
}): number[] => {
  const random = randomFrom(seed);
  const times: number[] = [];
  for (let ms = 0; ms < durationMs; ms += (-Math.log(1 - random()) * 1_000) / perSecond) times.push(ms);
  return times;
};

/** mulberry32: small, and the same on every machine. */
const randomFrom = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
};

export const runOpen = async (spec: LoadSpec, pattern: Of<'open'>, watch: Watch, observer: Observer): Promise<void> => {
  const request = requestBytes(spec);
  // Oldest first, so that none stays idle long enough for a target to close it.
  const idle = await openLines(spec, 32, watch);
  await Promise.all(idle.map((line) => line.ask(request)));
  observer.open();
  const startMs = performance.now();
  const running = arrivalTimes(pattern).map(async (atMs) => {
    await pause(Math.max(0, startMs + atMs - performance.now()));
    // Node's timers are up to a millisecond late; that is ours, what comes after it the target's.
    const dueMs = performance.now();
    let line = idle.shift();
    while (line?.isClosed) line = idle.shift();
    line ??= await Line.open(spec, watch);
    observer.ended(await line.ask(request, dueMs));
    idle.push(line);
  });
  await Promise.all(running);
  observer.close();
  for (const line of idle) line.close();
};

export const runHeld = async (spec: LoadSpec, pattern: Of<'held'>, watch: Watch, observer: Observer): Promise<void> => {
  const request = requestBytes(spec);
  const { promise: allSpeak, resolve } = Promise.withResolvers<void>();
  const speaking = new Set<Exchange>();
  const noting: Watch = {
    content: (exchange, tokens, nowMs) => {
      speaking.add(exchange);
      if (speaking.size === pattern.streams) resolve();
      watch.content(exchange, tokens, nowMs);
    },
  };
  const lines = await openLines(spec, pattern.streams, noting);
  const spreadMs = Math.min(1_000, pattern.streams * 2);
  const answers = lines.map(async (line, at) => {
    await pause((spreadMs * at) / lines.length);
    const exchange = await line.ask(request);
    observer.ended(exchange);
    line.close();
  });
  const all = Promise.all(answers);
  // Streams that all failed never speak.
  await Promise.race([allSpeak, all]);
  observer.open();
  await Promise.race([pause(pattern.windowMs), all]);
  observer.close();
  await all;
};

/** A few at a time: a listen queue that runs over costs a second, which would be the kernel's figure and not the target's. */
const openLines = async (spec: LoadSpec, count: number, watch: Watch): Promise<Line[]> => {
  const lines: Line[] = [];
  while (lines.length < count)
    lines.push(...(await Promise.all(Array.from({ length: Math.min(64, count - lines.length) }, () => Line.open(spec, watch)))));
  return lines;
};
