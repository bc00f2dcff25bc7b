import { describe, expect, it } from 'vitest';
import { DesktopReport, DesktopReports } from './desktop-reports.ts';
import { parseWindowsLook } from './foreground-text.ts';

const report = (change: Partial<DesktopReport> = {}): DesktopReport => ({
  session: 1,
  steamAppId: 0,
  notificationState: 5,
  ...change,
});

describe('the desktop’s reports', () => {
  it('are nothing as long as nobody reports', () => {
    expect(new DesktopReports().view(0)).toBeNull();
  });

  it('count until the reporter falls silent', () => {
    const reports = new DesktopReports();
    reports.tell(report({ steamAppId: 730, notificationState: 3 }), 1_000);
    expect(reports.view(16_000)).toEqual({ steamAppId: 730, notificationState: 3 });
    expect(reports.view(16_001)).toBeNull();
  });

  it('of several sessions are one: a game in any of them is a game', () => {
    const reports = new DesktopReports();
    reports.tell(report({ session: 1, notificationState: 1 }), 0);
    reports.tell(report({ session: 2, notificationState: 2, steamAppId: 440 }), 0);
    expect(reports.view(1)).toEqual({ steamAppId: 440, notificationState: 2 });
    reports.tell(report({ session: 2 }), 2);
    expect(reports.view(3)).toEqual({ steamAppId: 0, notificationState: 0 });
  });

  it('are bounded, whoever sends them', () => {
    const reports = new DesktopReports();
    for (let session = 0; session < 1_000; session += 1) reports.tell(report({ session, steamAppId: session }), 0);
    expect(reports.view(0)?.steamAppId).toBe(15);
    expect(DesktopReport.safeParse({ ...report(), name: 'x' }).success).toBe(false);
    expect(DesktopReport.safeParse({ ...report(), session: -1 }).success).toBe(false);
  });
});

describe('a look at Windows with a desktop', () => {
  const quiet = JSON.stringify({ engines: [{ pid: 1, name: 'old-game', percent: 12 }], notificationState: 0, steamAppId: 0 });

  it('sees the full screen that a service cannot see', () => {
    expect(parseWindowsLook(quiet, [], { steamAppId: 0, notificationState: 3 })).toMatchObject([{ name: 'old-game' }]);
    expect(parseWindowsLook(quiet, [], { steamAppId: 0, notificationState: 5 })).toEqual([]);
    expect(parseWindowsLook(quiet, [], null)).toEqual([]);
  });

  it('sees the Steam that is another account’s', () => {
    expect(parseWindowsLook(quiet, [], { steamAppId: 730, notificationState: 5 })).toEqual([
      { source: 'steam', name: 'Steam app 730', pid: null },
    ]);
  });
});
