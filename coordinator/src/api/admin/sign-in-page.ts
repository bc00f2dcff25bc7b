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

/** The dashboard's colours and measures (coordinator/dashboard/tokens.css): to whoever signs in it is one house. */
export const SIGN_IN_STYLE = `:root {
  color-scheme: light dark;
  --canvas: light-dark(#f6f7f9, #0e1116); --surface: light-dark(#ffffff, #161a21); --line: light-dark(#d5dae1, #2d3541);
  --control: light-dark(#767f8c, #6b7583); --text: light-dark(#171a1f, #e8ebf0); --muted: light-dark(#56606d, #a3adba);
  --accent: light-dark(#0a5bb5, #6fb3ff); --on-accent: light-dark(#ffffff, #0b1622);
  --bad: light-dark(#880009, #e27b76); --bad-soft: light-dark(#f9e0dd, #401b1a);
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--canvas); color: var(--text); font: 14px/20px system-ui, sans-serif; }
main { width: min(26rem, 100% - 2rem); margin: 12vh auto 3rem; padding: 1.5rem; background: var(--surface); border: 1px solid var(--line); border-radius: 10px; }
h1 { font-size: 20px; line-height: 28px; margin: 0 0 .75rem; }
h2 { font-size: 14px; margin: 1.75rem 0 .25rem; }
p { margin: .5rem 0; }
a { color: var(--accent); }
label { display: block; margin: .75rem 0; color: var(--muted); font-size: 12px; line-height: 16px; }
input { display: block; width: 100%; min-height: 44px; margin-top: 4px; padding: 0 10px; font: 14px/20px system-ui, sans-serif; color: var(--text); background: var(--surface); border: 1px solid var(--control); border-radius: 6px; }
input[type=checkbox] { display: inline; width: auto; min-height: 0; margin: 0 4px 0 0; vertical-align: middle; }
button { flex: none; min-height: 44px; padding: 0 1rem; font: inherit; color: inherit; background: var(--surface); border: 1px solid var(--control); border-radius: 6px; cursor: pointer; }
form button { width: 100%; margin-top: .5rem; font-weight: 600; color: var(--on-accent); background: var(--accent); border-color: var(--accent); }
button:disabled { opacity: .6; cursor: default; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
ul { padding: 0; list-style: none; }
li { display: flex; justify-content: space-between; align-items: center; gap: 1rem; margin: .5rem 0; overflow-wrap: anywhere; }
#problem:not(:empty) { padding: .5rem .75rem; color: var(--bad); background: var(--bad-soft); border-radius: 6px; }
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
