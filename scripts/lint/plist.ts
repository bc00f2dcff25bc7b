/** What is wrong with a property list for launchd, in sentences; empty when nothing is. */
import { parse } from 'plist';
import { z } from 'zod';
import { xmlFindings } from './xml.ts';

const seconds = z.number().int().nonnegative();
/** launchd expands nothing: no `~`, no `$HOME`. */
const path = z.string().regex(/^\/[^~$*]*$/, 'not an absolute path without anything to expand');

/**
 * The keys of launchd.plist(5) that a job of ours may have; launchd itself ignores what it does not know, so a spelling mistake would
 * go unnoticed. More than we use today, each with the type that launchd wants.
 */
export const LaunchdJob = z.strictObject({
  Label: z.string().regex(/^[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)+$/, 'not a reverse domain name'),
  UserName: z.string().min(1).optional(),
  GroupName: z.string().min(1).optional(),
  Program: path.optional(),
  ProgramArguments: z.tuple([path], z.string()),
  EnvironmentVariables: z.record(z.string().regex(/^[A-Z][A-Z0-9_]*$/), z.string().regex(/^[^~$]*$/)).optional(),
  WorkingDirectory: path.optional(),
  RunAtLoad: z.boolean().optional(),
  KeepAlive: z
    .union([
      z.boolean(),
      z.strictObject({
        SuccessfulExit: z.boolean().optional(),
        Crashed: z.boolean().optional(),
        PathState: z.record(path, z.boolean()).optional(),
      }),
    ])
    .optional(),
  // 0 would make launchd kill at once, and more than a few minutes would hold up a shutdown.
  ExitTimeOut: seconds.min(1).max(300).optional(),
  ThrottleInterval: seconds.max(3_600).optional(),
  ProcessType: z.enum(['Background', 'Standard', 'Adaptive', 'Interactive']).optional(),
  Nice: z.number().int().min(-20).max(20).optional(),
  LowPriorityIO: z.boolean().optional(),
  // A number is decimal; as text it is octal.
  Umask: z.union([z.number().int().min(0).max(0o777), z.string().regex(/^0[0-7]{1,3}$/)]).optional(),
  SessionCreate: z.boolean().optional(),
  AbandonProcessGroup: z.boolean().optional(),
  LimitLoadToSessionType: z.enum(['Aqua', 'Background', 'LoginWindow', 'StandardIO', 'System']).optional(),
  StandardInPath: path.optional(),
  StandardOutPath: path.optional(),
  StandardErrorPath: path.optional(),
  SoftResourceLimits: z.record(z.string(), z.number().int().nonnegative()).optional(),
  HardResourceLimits: z.record(z.string(), z.number().int().nonnegative()).optional(),
  AssociatedBundleIdentifiers: z.union([z.string(), z.array(z.string())]).optional(),
});
type LaunchdJob = z.infer<typeof LaunchdJob>;

/** What launchd accepts and a daemon with engines on a GPU must not have. */
const ownFindings = (job: LaunchdJob): string[] =>
  [
    [job.RunAtLoad !== true, 'does not start with the machine'],
    [job.KeepAlive !== true, 'does not come back whatever its exit code (75 asks for it)'],
    [job.ProcessType !== 'Interactive', 'is throttled: ProcessType is not Interactive'],
    [job.AbandonProcessGroup === true, 'leaves its engines behind'],
    [job.UserName === 'root', 'runs as root'],
    [job.UserName !== undefined && job.EnvironmentVariables?.['HOME'] === undefined, 'has an account and no HOME'],
    [!job.EnvironmentVariables?.['PATH']?.includes('/opt/homebrew/bin'), 'does not find the engines of Homebrew'],
    [job.StandardErrorPath === undefined || job.StandardErrorPath === '/dev/null', 'says nowhere why it crashed'],
  ]
    .filter(([isBad]) => isBad)
    .map(([, finding]) => String(finding));

export const plistFindings = (text: string): string[] => {
  const broken = xmlFindings(text);
  if (broken.length > 0) return broken;
  const job = LaunchdJob.safeParse(parse(text));
  return job.success
    ? ownFindings(job.data)
    : job.error.issues.map((issue) => `${[...issue.path, ''].join('.')} ${issue.message}`.trim());
};
