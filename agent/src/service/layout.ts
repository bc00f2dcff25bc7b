import { posix, win32 } from 'node:path';
import type { Scope } from './service.ts';

/**
 * Where everything of an installation lies, per system. The installers (deploy/agent) lay it out the same way.
 *
 *   <program>/runtime/<node version>/…   Node itself, unmodified, shared by the versions that want it
 *   <program>/versions/<version>/…       lai-agent.js, and manifest.json that says which runtime it wants
 *   <program>/current                    link to one of the versions (Windows: current.json, because links need rights there)
 *   <program>/lai-launch.js              starts what is current; outside the versions, because it takes a bad one back
 */
export interface Layout {
  readonly scope: Scope;
  readonly programDir: string;
  readonly runtimesDir: string;
  readonly versionsDir: string;
  readonly currentPath: string;
  readonly launcherPath: string;
  /** An update on trial; see trial.ts. */
  readonly trialPath: string;
  /** What the last failed update was. */
  readonly rolledBackPath: string;
  /** What people type. */
  readonly commandPath: string;
  readonly configDir: string;
  /** NAME=value lines with the node's settings, no secrets. */
  readonly settingsPath: string;
  /** Identity and state. */
  readonly dataDir: string;
  /** null where the system keeps the log. */
  readonly logDir: string | null;
  readonly registrationPath: string | null;
  readonly serviceName: string;
  /** Account of the service; null for the installing user's or the system's own. */
  readonly account: string | null;
}

type Place = Pick<
  Layout,
  'programDir' | 'commandPath' | 'configDir' | 'dataDir' | 'logDir' | 'registrationPath' | 'serviceName' | 'account'
>;

export interface LayoutQuestion {
  readonly platform: NodeJS.Platform;
  readonly scope: Scope;
  readonly home: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Pure. */
export const layoutOf = (question: LayoutQuestion): Layout => {
  const place = placeOf(question);
  const { join } = question.platform === 'win32' ? win32 : posix;
  const inProgram = (...names: string[]) => join(place.programDir, ...names);
  return {
    scope: question.scope,
    ...place,
    runtimesDir: inProgram('runtime'),
    versionsDir: inProgram('versions'),
    currentPath: inProgram(question.platform === 'win32' ? 'current.json' : 'current'),
    launcherPath: inProgram('lai-launch.js'),
    trialPath: inProgram('trial.json'),
    rolledBackPath: inProgram('rolled-back.json'),
    settingsPath: join(place.configDir, 'agent.env'),
  };
};

const placeOf = (question: LayoutQuestion): Place => {
  if (question.platform === 'darwin') return onMac(question);
  if (question.platform === 'win32') return onWindows(question);
  return onLinux(question);
};

const onLinux = ({ scope, home, environment }: LayoutQuestion): Place => {
  if (scope === 'system')
    return {
      programDir: '/opt/lai',
      commandPath: '/usr/local/bin/lai-agent',
      configDir: '/etc/lai',
      dataDir: '/var/lib/lai',
      logDir: null,
      registrationPath: '/etc/systemd/system/lai-agent.service',
      serviceName: 'lai-agent.service',
      account: 'lai-agent',
    };
  const config = environment['XDG_CONFIG_HOME'] || posix.join(home, '.config');
  const data = posix.join(environment['XDG_DATA_HOME'] || posix.join(home, '.local/share'), 'lai');
  return {
    programDir: posix.join(data, 'program'),
    commandPath: posix.join(home, '.local/bin/lai-agent'),
    configDir: posix.join(config, 'lai'),
    dataDir: posix.join(data, 'agent'),
    logDir: null,
    registrationPath: posix.join(config, 'systemd/user/lai-agent.service'),
    serviceName: 'lai-agent.service',
    account: null,
  };
};

const onMac = ({ scope, home }: LayoutQuestion): Place => {
  const serviceName = 'dev.lai.agent';
  if (scope === 'system')
    return {
      programDir: '/usr/local/lai',
      commandPath: '/usr/local/bin/lai-agent',
      configDir: '/Library/Application Support/LAI',
      dataDir: '/Library/Application Support/LAI/state',
      logDir: '/Library/Logs/LAI',
      registrationPath: `/Library/LaunchDaemons/${serviceName}.plist`,
      serviceName,
      account: null,
    };
  const config = posix.join(home, 'Library/Application Support/LAI');
  return {
    programDir: posix.join(config, 'program'),
    commandPath: posix.join(home, '.local/bin/lai-agent'),
    configDir: config,
    dataDir: posix.join(config, 'state'),
    logDir: posix.join(home, 'Library/Logs/LAI'),
    registrationPath: posix.join(home, `Library/LaunchAgents/${serviceName}.plist`),
    serviceName,
    account: null,
  };
};

const onWindows = ({ scope, home, environment }: LayoutQuestion): Place => {
  const local = environment['LOCALAPPDATA'] || win32.join(home, 'AppData', 'Local');
  const programDir =
    scope === 'system'
      ? win32.join(environment['ProgramFiles'] || 'C:\\Program Files', 'LAI')
      : win32.join(local, 'Programs', 'LAI');
  const configDir = win32.join(scope === 'system' ? environment['ProgramData'] || 'C:\\ProgramData' : local, 'LAI');
  return {
    programDir,
    commandPath: win32.join(programDir, 'lai-agent.cmd'),
    configDir,
    dataDir: win32.join(configDir, 'state'),
    logDir: win32.join(configDir, 'logs'),
    registrationPath: null,
    serviceName: 'LAIAgent',
    account: null,
  };
};
