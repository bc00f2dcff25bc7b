/** The load generator, a program of its own so that what it costs is no part of what it measures. Takes orders over IPC. */
import type { Exchange, Watch } from './exchange.ts';
import { type Observer, runClosed, runHeld, runOpen } from './load-patterns.ts';
import type { LoadOrder, LoadReport, LoadResult, LoadSpec } from './load-spec.ts';
import { type ProcessFigures, readProcess } from './process-figures.ts';
import { Histogram, summarise } from './statistics.ts';

const run = async (spec: LoadSpec): Promise<LoadResult> => {
  const exchanges: Exchange[] = [];
  const gaps = new Histogram();
  const errors: Record<string, number> = {};
  let isOpen = false;
  let openedMs = 0;
  let closedMs = 0;
  let tokens = 0;
  let before: Record<string, ProcessFigures> = {};
  let processes: Record<string, ProcessFigures> = {};
  let ownCpu = process.cpuUsage();

  const watch: Watch = {
    content: (exchange, count, nowMs) => {
      if (!isOpen) return;
      tokens += count;
      // The first content has no gap before it; the line notes the time after it has called us.
      if (!Number.isNaN(exchange.lastContentMs)) gaps.add(nowMs - exchange.lastContentMs);
    },
  };
  const observer: Observer = {
    open: () => {
      before = readAll(spec.pids);
      ownCpu = process.cpuUsage();
      openedMs = performance.now();
      isOpen = true;
    },
    close: () => {
      isOpen = false;
      closedMs = performance.now();
      ownCpu = process.cpuUsage(ownCpu);
      processes = used(before, readAll(spec.pids));
    },
    ended: (exchange) => {
      if (exchange.problem === null) exchanges.push(exchange);
      else errors[exchange.problem] = (errors[exchange.problem] ?? 0) + 1;
    },
  };
  const { pattern } = spec;
  switch (pattern.kind) {
    case 'closed':
      await runClosed(spec, pattern, watch, observer);
      break;
    case 'open':
      await runOpen(spec, pattern, watch, observer);
      break;
    case 'held':
      await runHeld(spec, pattern, watch, observer);
      break;
  }
  const since = (end: (exchange: Exchange) => number) =>
    summarise(exchanges.map((exchange) => end(exchange) - exchange.startedMs));
  const measuredMs = closedMs - openedMs;
  return {
    completed: exchanges.length,
    measuredMs,
    tokens,
    headersMs: since((exchange) => exchange.headersMs),
    firstContentMs: since((exchange) => exchange.firstContentMs),
    totalMs: since((exchange) => exchange.endedMs),
    gapMs: gaps.summary(),
    errors,
    processes,
    ownCpuShare: (ownCpu.user + ownCpu.system) / 1_000 / measuredMs,
  };
};

const readAll = (pids: LoadSpec['pids']): Record<string, ProcessFigures> => {
  const figures: Record<string, ProcessFigures> = {};
  for (const [name, pid] of Object.entries(pids)) {
    const read = readProcess(pid);
    if (read) figures[name] = read;
  }
  return figures;
};

const used = (before: Record<string, ProcessFigures>, after: Record<string, ProcessFigures>): Record<string, ProcessFigures> =>
  Object.fromEntries(
    Object.entries(after).map(([name, now]) => [name, { cpuS: now.cpuS - (before[name]?.cpuS ?? 0), rssMb: now.rssMb }]),
  );

const say = (report: LoadReport): void => void process.send?.(report);

process.on('message', (order: LoadOrder) => {
  run(order.spec).then(
    (result) => say({ kind: 'done', id: order.id, result }),
    (error: unknown) => say({ kind: 'broken', id: order.id, reason: error instanceof Error ? error.message : String(error) }),
  );
});
process.once('disconnect', () => process.exit(0));
