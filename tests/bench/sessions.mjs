// What sessions in cookies and in Redis cost beside sessions in memory: CPU time of the proxy for an authenticated, signed
// request whose session it knows, as a ratio within one run, processes of the binary in turn, each round with new ones, since
// where a process lies in memory alone makes some percent; what Redis is asked meanwhile,
// and for a session that is not known yet; how long both take; and what a session takes in the browser and in Redis.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';

import { BINARY } from '../browser/demo.mjs';
import { freePorts } from '../browser/ports.mjs';
import {
  CONNECTIONS, ROUNDS, SECONDS, SIZE, answers200, core, emulated, finish, judge, load, median, nginx, pinned, spread, start, stop, work,
} from './kit.mjs';
import { logIn } from './login.mjs';

const LIMIT = 1.05;
const PATH = '/reports';
/** So many sessions are asked for once by a process that does not know them, and then once more. */
const MEMBERS = 200;
const KEY = Buffer.alloc(32, 7).toString('base64');

const redis = { port: await freePorts(1) };
const cli = (...words) => execFileSync('redis-cli', ['-p', String(redis.port), ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
/** How often each command has been given, by whoever. */
const commands = () =>
  Object.fromEntries([...cli('info', 'commandstats').matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name, calls]) => [name, Number(calls)]));
/** What was asked besides whether it is there. */
const asked = (before, after) =>
  Object.entries(after).map(([name, calls]) => [name, calls - (before[name] ?? 0)])
    .filter(([name, calls]) => calls && !/^(ping|info|hello|client|command)/.test(name));
/** Bytes that Redis has in use. */
const used = () => Number(/^used_memory:(\d+)/m.exec(cli('info', 'memory'))[1]);
const written = (list) => list.map(([name, calls]) => `${calls} ${name}`).join(', ') || 'nothing';

/** The binary before `portal` with sessions in `store`, and an emulated Microsoft of its own. */
async function anteport(name, portal, store) {
  const first = await freePorts(2);
  const identity = '      assertion: { algorithm: ES256, lifetime: 60s }';
  const file = await emulated(name, first, portal, { top: 'sessions: {}', identity });
  // It gives an emulator's members to no real store, so the store is put in again.
  const text = fs.readFileSync(file, 'utf8');
  if (!text.includes('"sessions": {}')) throw new Error(`where are the sessions?\n${text}`);
  fs.writeFileSync(file, text.replace('"sessions": {}', `"sessions": ${store}`));
  const proxy = `http://127.0.0.1:${first}`;
  const target = { name, port: first, path: PATH };
  target.up = async () => {
    target.child = start([...pinned, BINARY, 'run', '--config', file]);
    target.pid = target.child.pid;
    await answers200(first + 1, '/readyz');
  };
  target.logIn = () => logIn(proxy, PATH, 'member@contoso.example', 'demo');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  // Not by `fetch`, whose own time would be most of what is seen.
  target.ask = (cookie) => new Promise((resolve, reject) => {
    const begun = performance.now();
    const request = http.get(`${proxy}${PATH}`, { agent, headers: cookie ? { cookie } : {} }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve({ status: answer.statusCode, micros: (performance.now() - begun) * 1000 }));
    });
    request.once('error', reject);
  });
  /** A new process, which knows who is signed in and has been used for a moment. */
  target.again = async () => {
    await stop(target.child);
    await target.up();
    target.cookie = await target.logIn();
    await load(target, 1);
  };
  await target.up();
  target.cookie = await target.logIn();
  if ((await target.ask('')).status === 200) throw new Error('it passes without a session: that is not what is to be measured');
  return target;
}

async function run() {
  start(['redis-server', '--port', String(redis.port), '--bind', '127.0.0.1', '--save', '', '--dir', work]);
  for (let tries = 0; ; tries += 1) {
    try {
      cli('ping');
      break;
    } catch (error) {
      if (tries > 500) throw error;
    }
  }
  const answer = `default_type text/plain; return 200 "${'x'.repeat(SIZE)}";`;
  const portal = await nginx('portal', (port) => `server { listen 127.0.0.1:${port}; location / { ${answer} } }`);
  const targets = [
    await anteport('memory', portal, '{ store: memory }'),
    await anteport('cookie', portal, `{ store: cookie, keys: [ { value: "${KEY}" } ] }`),
    await anteport('redis', portal, `{ store: redis, keys: [ { value: "${KEY}" } ], redis: { servers: ["127.0.0.1:${redis.port}"] } }`),
  ];
  const all = new Map(targets.slice(1).map(({ name }) => [name, []]));
  for (let round = 1; round <= ROUNDS; round += 1) {
    const found = new Map();
    let questions = [];
    for (const target of round % 2 ? targets : targets.toReversed()) {
      await target.again();
      const before = commands();
      found.set(target.name, await load(target, SECONDS));
      if (target.name === 'redis') questions = asked(before, commands());
      await stop(target.child);
    }
    for (const [name, ratios] of all) ratios.push(found.get(name).micros / found.get('memory').micros);
    console.log(`round ${round}: ` + targets.map(({ name }) => {
      const { micros, rate } = found.get(name);
      return `${name} ${micros.toFixed(2)} µs, ${rate.toFixed(0)}/s`;
    }).join('; ') + `; Redis was asked ${written(questions)}`);
  }
  const what = 'CPU per authenticated, signed request with sessions in';
  const over = (name) => `${ROUNDS} rounds from ${spread(all.get(name))}`;
  console.log(`${judge(`${what} Redis, against memory`, median(all.get('redis')), LIMIT, '×')}; ${over('redis')}`);
  console.log(`     ${what} cookies, against memory: ${median(all.get('cookie')).toFixed(2)} ×; ${over('cookie')}`);
  for (const target of targets) await firstTime(target);
}

/** What many members' sessions take, and how long a process that knows none of them needs for each. */
async function firstTime(target) {
  const { name } = target;
  await target.again();
  const before = used();
  const cookies = [target.cookie];
  while (cookies.length < MEMBERS) cookies.push(await target.logIn());
  const bytes = median(cookies.map((cookie) => cookie.length));
  const taken = (used() - before) / (MEMBERS - 1);
  console.log(`${name}: a browser sends ${bytes} bytes` + (name === 'redis' ? `; Redis has ${taken.toFixed(0)} bytes a session` : ''));
  if (name !== 'memory') {
    await stop(target.child);
    await target.up();
  }
  // The first of all makes connections, and reads since when everybody has to sign in anew.
  const first = cookies.shift();
  for (const time of ['for the first time', 'again']) {
    await target.ask(first);
    const before = commands();
    const answers = [];
    for (const cookie of cookies) answers.push(await target.ask(cookie));
    if (answers.some(({ status }) => status !== 200)) throw new Error(`${name}: a session is lost`);
    const questions = asked(before, commands());
    const micros = answers.map((answer) => answer.micros).sort((a, b) => a - b);
    const at = (share) => micros[Math.floor((micros.length - 1) * share)].toFixed(0);
    console.log(`${name}: ${micros.length} sessions ${time}, one after the other: median ${at(0.5)} µs, 90 % ${at(0.9)} µs; `
      + `Redis was asked ${written(questions)}`);
    if (name === 'redis' && time === 'for the first time') {
      const most = questions.reduce((sum, [, calls]) => sum + calls, 0) / cookies.length;
      console.log(judge('questions for one that is not known', most, 1, ''));
    } else {
      console.log(judge('kinds of questions', questions.length, 0, ''));
    }
  }
}

try {
  console.log(`core ${core} of ${os.cpus().length}, ${CONNECTIONS} connections, ${SIZE} bytes, ${SECONDS} s a round`);
  await run();
} finally {
  await finish();
}
