/**
 * The pages at /setup and /sign-in: one form, and behind it where one is signed in. Everything is served from here, nothing from anywhere
 * else, and text only ever becomes text nodes.
 */
export const SIGN_IN_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lai</title>
<link rel="stylesheet" href="sign-in/style.css">
</head>
<body>
<main>
<h1>Lai</h1>
<noscript>This page signs in with a script of its own.</noscript>
<form id="door" hidden>
<p id="about"></p>
<label>Name<input name="name" required maxlength="64" autocomplete="username" autocapitalize="none" spellcheck="false"></label>
<label>Password<input name="password" type="password" required maxlength="256"></label>
<label id="stay"><input name="stay" type="checkbox" value="yes"> Stay signed in for 30 days (viewers only: for a screen on the wall)</label>
<button></button>
</form>
<section id="inside" hidden>
<p id="who"></p>
<p><a href="ui/">To the dashboard</a></p>
<button id="leave">Sign out</button>
<h2>Signed in</h2>
<ul id="sessions"></ul>
<h2>Another password</h2>
<form id="change">
<label>Now<input name="current" type="password" required maxlength="256" autocomplete="current-password"></label>
<label>Next<input name="next" type="password" required minlength="10" maxlength="256" autocomplete="new-password"></label>
<button>Change</button>
</form>
</section>
<p id="problem" role="alert"></p>
</main>
<script src="sign-in/page.js"></script>
</body>
</html>
`;

export const SIGN_IN_STYLE = `:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 24rem; margin: 12vh auto 2rem; padding: 0 1rem; }
h2 { font-size: 1rem; margin: 2rem 0 .3rem; }
label { display: block; margin: .8rem 0; }
input { display: block; width: 100%; box-sizing: border-box; font: inherit; padding: .4rem; }
input[type=checkbox] { display: inline; width: auto; }
button { font: inherit; padding: .3rem 1rem; }
ul { padding: 0; list-style: none; }
li { display: flex; justify-content: space-between; gap: 1rem; margin: .4rem 0; }
#problem { color: light-dark(#a00, #f88); }
`;

export const SIGN_IN_SCRIPT = `'use strict';
const at = (id) => document.getElementById(id);
const door = at('door');
const isSetup = location.pathname.endsWith('/setup');
const token = location.hash.slice(1);
const asked = new URLSearchParams(location.search).get('to') || '';
// Only into the dashboard: a link must not be able to send somebody who has just signed in anywhere else.
const target = new URL(asked, location.origin);
const to = target.origin === location.origin && target.pathname.startsWith('/ui/') ? target.pathname + target.search : null;
// The link works once; there is no reason to keep it in the history.
history.replaceState(null, '', location.pathname);

const call = async (method, path, body) => {
  const response = await fetch('api/v1/' + path, {
    method,
    headers: body ? { 'content-type': 'application/json' } : {},
    body: body ? JSON.stringify(body) : undefined,
  });
  if (response.status === 204) return null;
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.error.message), { status: response.status });
  return answer;
};
const tell = (problem) => {
  at('problem').textContent = problem ? problem.message : '';
};
/** One thing at a time; what goes wrong is shown. */
const doing = (act) => async (event) => {
  event.preventDefault();
  tell(null);
  const isForm = event.type === 'submit';
  const button = isForm ? event.target.querySelector('button') : event.target;
  button.disabled = true;
  await act(isForm ? Object.fromEntries(new FormData(event.target)) : {}).catch(tell);
  button.disabled = false;
};

const showDoor = () => {
  at('inside').hidden = true;
  door.hidden = false;
  door.password.autocomplete = isSetup ? 'new-password' : 'current-password';
  door.password.minLength = isSetup ? 10 : 1;
  door.querySelector('button').textContent = isSetup ? 'Begin' : 'Sign in';
  at('stay').hidden = isSetup;
  at('about').textContent = isSetup ? 'Whoever signs up here looks after this fleet.' : '';
  if (isSetup && token === '') tell(new Error('Open the whole link that the coordinator printed when it started.'));
};
const row = ({ id, address, browser, lastSeenAtMs, isCurrent }) => {
  const item = document.createElement('li');
  const text = document.createElement('span');
  text.textContent = (isCurrent ? 'here' : address + ' ' + browser) + ', ' + new Date(lastSeenAtMs).toLocaleString();
  item.append(text);
  if (isCurrent) return item;
  const end = document.createElement('button');
  end.textContent = 'End';
  end.onclick = doing(async () => {
    await call('DELETE', 'sessions/' + encodeURIComponent(id));
    await show();
  });
  item.append(end);
  return item;
};
const show = async () => {
  try {
    const { name, user } = await call('GET', 'session');
    at('who').textContent = 'You are ' + name + ' (' + user.role + ').';
    at('sessions').replaceChildren(...(await call('GET', 'sessions')).map(row));
    door.hidden = true;
    at('inside').hidden = false;
  } catch (problem) {
    showDoor();
    if (problem.status !== 401) tell(problem);
  }
};

door.onsubmit = doing(async ({ name, password, stay }) => {
  const more = isSetup ? { token } : stay ? { stay: true } : {};
  await call('POST', isSetup ? 'setup' : 'session', { ...more, name: name.trim().toLowerCase(), password });
  door.reset();
  if (isSetup || to) location.replace(to || 'ui/');
  else await show();
});
at('change').onsubmit = doing(async (change) => {
  await call('POST', 'session/password', change);
  at('change').reset();
  await show();
});
at('leave').onclick = doing(async () => {
  await call('DELETE', 'session');
  location.replace('sign-in');
});
void show();
`;
