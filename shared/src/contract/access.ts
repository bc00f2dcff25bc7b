import { z } from 'zod';
import * as admin from '../admin-api.ts';
import { operations, wholeNumber } from './operation.ts';

const MAX_AUDIT_PAGE = 1_000;

/** Keys, people, their sessions, and what they changed. */
export const accessOperations = operations({
  'GET /api/v1/keys': {
    operationId: 'listKeys',
    action: 'key.read',
    summary: 'API keys',
    response: z.array(admin.KeyView),
  },
  'POST /api/v1/keys': {
    operationId: 'createKey',
    action: 'key.write',
    summary: 'A new API key; this answer is the only time it is shown',
    request: admin.NewKey,
    response: admin.IssuedKey,
    status: 201,
  },
  'PATCH /api/v1/keys/{id}': {
    operationId: 'changeKey',
    action: 'key.write',
    summary: 'Change what a key may do',
    request: admin.KeyChange,
    response: admin.KeyView,
  },
  'POST /api/v1/keys/{id}/rotate': {
    operationId: 'rotateKey',
    action: 'key.write',
    summary: 'Replace a key',
    request: admin.KeyRotation,
    response: admin.IssuedKey,
  },
  'DELETE /api/v1/keys/{id}': {
    operationId: 'revokeKey',
    action: 'key.write',
    summary: 'Revoke a key',
    response: admin.KeyView,
  },
  'POST /api/v1/setup': {
    operationId: 'finishSetup',
    action: 'setup.finish',
    summary: 'The first operator signs up with the link that the coordinator printed; opens a session',
    request: admin.SetupRequest,
  },
  'POST /api/v1/session': {
    operationId: 'signIn',
    action: 'session.begin',
    summary: 'Sign in; opens a session, kept by a cookie',
    request: admin.SignInRequest,
  },
  'GET /api/v1/session': {
    operationId: 'whoAmI',
    action: 'session.read',
    summary: 'Who asks: somebody who has signed in, or a key',
    response: admin.WhoAmI,
  },
  'DELETE /api/v1/session': {
    operationId: 'signOut',
    action: 'session.end',
    summary: 'End this session',
  },
  'POST /api/v1/session/password': {
    operationId: 'changePassword',
    action: 'session.end',
    summary: 'Another password; every other session of this person ends',
    request: admin.PasswordChange,
  },
  'GET /api/v1/sessions': {
    operationId: 'listSessions',
    action: 'session.read',
    summary: 'Where one is signed in',
    response: z.array(admin.SessionView),
  },
  'DELETE /api/v1/sessions/{id}': {
    operationId: 'endSession',
    action: 'session.end',
    summary: 'End one of these sessions',
  },
  'GET /api/v1/users': {
    operationId: 'listUsers',
    action: 'user.read',
    summary: 'People who may sign in',
    response: z.array(admin.UserView),
  },
  'POST /api/v1/users': {
    operationId: 'createUser',
    action: 'user.write',
    summary: 'Let somebody sign in',
    request: admin.NewUser,
    response: admin.UserView,
    status: 201,
  },
  'PATCH /api/v1/users/{id}': {
    operationId: 'changeUser',
    action: 'user.write',
    summary: "Somebody's role, password, or whether they may sign in",
    request: admin.UserChange,
    response: admin.UserView,
  },
  'DELETE /api/v1/users/{id}': {
    operationId: 'removeUser',
    action: 'user.write',
    summary: 'Forget somebody; their sessions end',
    response: admin.UserView,
  },
  'GET /api/v1/audit': {
    operationId: 'listAudit',
    action: 'audit.read',
    summary: 'Who changed what',
    query: z.object({
      limit: wholeNumber(MAX_AUDIT_PAGE).optional().describe('At most so many, the newest first.'),
      before: wholeNumber(Number.MAX_SAFE_INTEGER).optional().describe('Only those before this number.'),
    }),
    response: z.array(admin.AuditEntry),
  },
  'GET /api/v1/audit/verify': {
    operationId: 'verifyAudit',
    action: 'audit.read',
    summary: 'Is the audit log whole?',
    query: z.object({
      expected: z.string().max(64).optional().describe('Hash of the last entry, as it was noted elsewhere.'),
    }),
    response: admin.AuditVerdict,
  },
});
