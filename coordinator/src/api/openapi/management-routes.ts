import { MANAGEMENT, type ManagementName } from '@lai/shared/contract/management';
import type { Operation } from '@lai/shared/contract/operation';
import { type Action, authorize } from '../../access/authorize.ts';
import type { DocumentedRoute } from './documented-route.ts';

/** The contract's operations, as the document has them. */
const fromContract = (name: ManagementName): DocumentedRoute => {
  const { operationId, summary, action, query, request, response, stream, event, status }: Operation & { action: Action } =
    MANAGEMENT[name];
  const [method = '', path = ''] = name.split(' ');
  return {
    ...{ method: method.toLowerCase() as DocumentedRoute['method'], path, api: 'Management', operationId, summary },
    status: status ?? (response || stream ? 200 : 204),
    ...(query ? { query: query.shape } : {}),
    ...(request ? { request } : {}),
    ...(response ? { response } : {}),
    ...(stream ? { stream } : {}),
    ...(event ? { event } : {}),
    ...(authorize(null, action).kind === 'allowed' ? { isOpen: true } : {}),
  };
};

const file = (path: string, operationId: string, summary: string): DocumentedRoute => ({
  ...{ method: 'get', path, api: 'Management', operationId, summary, isOpen: true },
});

export const managementRoutes: readonly DocumentedRoute[] = [
  ...(Object.keys(MANAGEMENT) as ManagementName[]).map(fromContract),
  file('/install.sh', 'getShellInstaller', 'Installs the agent on Linux and macOS'),
  file('/install.ps1', 'getPowerShellInstaller', 'Installs the agent on Windows'),
  file(
    '/dl/{version}/{file}',
    'getReleaseFile',
    'A file of a release of the agent; the version may be `latest`. Knows ranges and ETags',
  ),
];
