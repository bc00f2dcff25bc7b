import { z } from 'zod';

/**
 * What a session's desktop shows, as the reporter in that session tells it (deploy/agent/windows/lai-desktop.ps1): a service cannot see
 * it. Whoever is logged in may send one, so it says nothing but what a game would say anyway.
 */
export const DesktopReport = z.strictObject({
  session: z.number().int().nonnegative().max(65_535),
  /** 0: none runs. */
  steamAppId: z.number().int().nonnegative(),
  /** SHQueryUserNotificationState: 2 busy, 3 full-screen Direct3D, 4 presentation. */
  notificationState: z.number().int().nonnegative().max(99),
});
export type DesktopReport = z.infer<typeof DesktopReport>;

export type DesktopView = Omit<DesktopReport, 'session'>;

/** Reporters tell every few seconds; one that has fallen silent has been logged off. */
const COUNTS_FOR_MS = 15_000;
const MAX_SESSIONS = 16;

/** Single writer of what the sessions told last. */
export class DesktopReports {
  readonly #last = new Map<number, { report: DesktopReport; atMs: number }>();

  tell(report: DesktopReport, nowMs: number): void {
    this.#forget(nowMs);
    if (this.#last.size < MAX_SESSIONS || this.#last.has(report.session)) this.#last.set(report.session, { report, atMs: nowMs });
  }

  /** Of all sessions together: a game in any of them is a game. Null: nobody reports. */
  view(nowMs: number): DesktopView | null {
    this.#forget(nowMs);
    const reports = [...this.#last.values()].map(({ report }) => report);
    if (reports.length === 0) return null;
    const full = reports.find(({ notificationState }) => isFullScreen(notificationState));
    return {
      steamAppId: Math.max(...reports.map(({ steamAppId }) => steamAppId)),
      notificationState: full?.notificationState ?? 0,
    };
  }

  #forget(nowMs: number): void {
    for (const [session, { atMs }] of this.#last) if (nowMs - atMs > COUNTS_FOR_MS) this.#last.delete(session);
  }
}

export const isFullScreen = (notificationState: number): boolean => notificationState === 2 || notificationState === 3;
