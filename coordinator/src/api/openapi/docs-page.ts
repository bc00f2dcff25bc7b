/** The page at /docs, its script and its style: everything is served from here, nothing from anywhere else. */
export const DOCS_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lai: API</title>
<link rel="stylesheet" href="docs/style.css">
</head>
<body>
<header><h1>Lai</h1><p id="about"></p><p><a href="openapi.json">openapi.json</a></p></header>
<main id="routes"><noscript>This page reads openapi.json with a script.</noscript></main>
<script src="docs/page.js"></script>
</body>
</html>
`;

export const DOCS_STYLE = `:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
details { border-bottom: 1px solid var(--line); padding: .4rem 0; }
summary { cursor: pointer; display: flex; gap: .8rem; align-items: baseline; flex-wrap: wrap; }
summary code { font-weight: 600; }
.method { font: 600 .75rem/1 ui-monospace, monospace; width: 4rem; text-transform: uppercase; }
.field { display: flex; gap: .8rem; margin: .15rem 0 .15rem 1rem; flex-wrap: wrap; }
.field .field { border-left: 1px solid var(--line); padding-left: .6rem; }
.inside { flex-basis: 100%; }
.type, .note { opacity: .7; }
h3 { font-size: .95rem; margin: .8rem 0 .2rem; }
`;

/** Text only ever becomes text nodes: a description cannot become markup. */
export const DOCS_SCRIPT = `'use strict';
const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};
const resolve = (document_, schema) =>
  schema && schema.$ref ? schema.$ref.slice(2).split('/').reduce((at, key) => at[key], document_) : schema || {};
const typeOf = (schema) => {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const variants = schema.anyOf || schema.oneOf;
  if (variants) return variants.map(typeOf).join(' | ');
  if (schema.type === 'array') return 'list of ' + typeOf(schema.items || {});
  return Array.isArray(schema.type) ? schema.type.join(' | ') : schema.type || 'anything';
};
const inner = (schema) => {
  const variants = schema.anyOf || schema.oneOf || [];
  return schema.properties ? schema : schema.items ? inner(schema.items) : variants.map(inner).find((found) => found) || null;
};
const fields = (schema, depth) => {
  const object = inner(schema);
  if (!object || depth > 3) return [];
  return Object.entries(object.properties || {}).map(([name, value]) =>
    element('div', { class: 'field' },
      element('code', {}, name),
      element('span', { class: 'type' }, typeOf(value)),
      element('span', { class: 'note' }, (object.required || []).includes(name) ? 'required' : '', value.description || ''),
      element('div', { class: 'inside' }, ...fields(value, depth + 1))));
};
const bodies = (title, content, document_) =>
  Object.entries(content || {}).flatMap(([type, { schema }]) => [
    element('h3', {}, title + ' (' + type + ')'),
    ...fields(resolve(document_, schema), 0),
  ]);
const route = (document_, path, method, operation) =>
  element('details', {},
    element('summary', {}, element('span', { class: 'method' }, method), element('code', {}, path), element('span', {}, operation.summary)),
    ...bodies('Request', operation.requestBody && operation.requestBody.content, document_),
    ...Object.entries(operation.responses).flatMap(([status, response]) => bodies('Answer ' + status, response.content, document_)));
const show = (document_) => {
  document.getElementById('about').textContent = document_.info.summary + ' ' + document_.info.description;
  const main = document.getElementById('routes');
  main.replaceChildren();
  for (const tag of document_.tags) {
    main.append(element('h2', {}, tag.name), element('p', {}, tag.description));
    for (const [path, operations] of Object.entries(document_.paths))
      for (const [method, operation] of Object.entries(operations))
        if (operation.tags.includes(tag.name)) main.append(route(document_, path, method, operation));
  }
};
fetch('openapi.json').then((response) => response.json()).then(show);
`;
