// Tries the tables of tests/fixtures/profiles on the real program: a demo for each profile, before a portal that says yes
// to everything. `node tests/portals/tables.mjs [PROFILE …]`.
import { readFileSync, readdirSync } from 'node:fs';
import http from 'node:http';
import { once } from 'node:events';

import { startDemo } from '../browser/demo.mjs';
import { logIn } from '../bench/login.mjs';
import { ask } from './http.mjs';

const FOLDER = new URL('../fixtures/profiles/', import.meta.url);
const wanted = process.argv.slice(2);
const names = readdirSync(FOLDER).filter((name) => name.endsWith('.txt')).map((name) => name.slice(0, -4))
  .filter((name) => !wanted.length || wanted.includes(name));

const portal = http.createServer((request, answer) => {
  request.resume();
  answer.writeHead(200, { server: 'portal', 'content-type': 'text/plain' });
  answer.end('yes');
});
portal.listen(0, '127.0.0.1');
await once(portal, 'listening');

const unescaped = (text) => text.replace(/\\([rn\\])/g, (_, letter) => ({ r: '\r', n: '\n', '\\': '\\' })[letter]);

function read(line) {
  const [verdict, method, target, ...parts] = line.split('\t');
  const request = { method, target, headers: {}, cookie: '' };
  for (const part of parts) {
    const [, kind, rest] = /^(header|cookie|body):(.*)$/s.exec(part);
    if (kind === 'header') request.headers[rest.split('=')[0]] = rest.slice(rest.indexOf('=') + 1);
    if (kind === 'cookie') request.cookie = rest;
    if (kind === 'body') {
      request.headers['content-type'] = rest.split(' ')[0];
      request.body = unescaped(rest.slice(rest.indexOf(' ') + 1));
    }
  }
  return { verdict, request };
}

/** What a request met: `login` and `pass` are told apart from a refusal by where the answer comes from. */
async function met(demo, session, { request }) {
  const [stranger, member] = await Promise.all(['', session].map((own) =>
    ask(demo.proxy, { ...request, cookie: [request.cookie, own].filter(Boolean).join('; ') })));
  if (stranger.headers.server) return 'public';
  if (member.headers.server) return 'pass';
  const signsIn = stranger.status < 400 && member.status < 400;
  return signsIn ? 'login' : member.status >= 400 ? 'refuse' : `${stranger.status} and ${member.status}`;
}

let wrong = 0;
let lines = 0;
for (const name of names) {
  const demo = await startDemo({ more: ['--upstream', `http://127.0.0.1:${portal.address().port}`, '--profile', name] });
  try {
    const cookie = await logIn(demo.proxy, '/', 'treasurer@harborclub.example', 'demo');
    const text = readFileSync(new URL(`${name}.txt`, FOLDER), 'utf8');
    for (const line of text.split('\n').filter((written) => written && !written.startsWith('#'))) {
      lines += 1;
      const expected = read(line);
      const found = await met(demo, cookie, expected);
      if (found === expected.verdict) continue;
      wrong += 1;
      console.log(`${name}: ${found}, not ${line}`);
    }
  } finally {
    await demo.stop();
  }
}
portal.close();
console.log(`${names.length} profiles, ${lines} lines, ${wrong} wrong`);
process.exitCode = wrong ? 1 : 0;
