/**
 * Ends with 0 when the coordinator in this container is ready, else with 1 and the reason. Plain JavaScript for `node` alone: the image
 * has no curl. The certificate is not checked: it is our own process behind our own loopback, and the name on it is another one.
 */
import { request as http } from 'node:http';
import { request as https } from 'node:https';
import { env, exit } from 'node:process';

const LIMIT_MS = 4_000;
const isEncrypted = Boolean(env.LAI_TLS_CERT);
const ask = isEncrypted ? https : http;

const leave = (why) => {
  if (why !== '') console.error(why);
  exit(why === '' ? 0 : 1);
};

ask(
  { host: '127.0.0.1', port: Number(env.LAI_PORT || 5240), path: '/readyz', agent: false, rejectUnauthorized: false },
  (answer) => {
    let text = '';
    answer.setEncoding('utf8').on('data', (part) => {
      text = (text + part).slice(0, 200);
    });
    answer.on('end', () => leave(answer.statusCode === 200 ? '' : `${answer.statusCode}: ${text.trim()}`));
  },
)
  .on('error', (error) => leave(error.message))
  .end();

setTimeout(() => leave(`no answer within ${LIMIT_MS / 1_000} s`), LIMIT_MS);
