// A good visitor while others attack: what it sees of each attack, and whether the memory comes back.
//
// The good visitor sends 200 requests a second over HTTP/1.1 and TLS on connections that it keeps, each at its time
// whether or not the one before is answered; its latency counts from that time on. Beside it, a newcomer opens a
// connection five times a second and sends a form that a rule looks at. Every status and every body is looked at. Both
// are 127.0.0.9; attackers have other addresses: Debian's tools 127.0.0.1, as they know no other, ours 127.0.0.11 to 18.
//
// What the figures are not: attackers, portal, proxy and the good visitor share the cores of one machine. An attacker
// that may take all the CPU would show who has more of it, so each is bounded, in connections and in how fast it goes
// (see attackers.mjs and below), and runs at a lower priority, as if it were elsewhere. What is measured runs at a higher
// one than the rest of the machine, where we may, so that other work is not what is measured. What is tested is that a
// slow or rude client costs the proxy little and takes no place of others; not how much of a line or a core it can fill.
//
// The bars: no error, neither of the good visitor nor of the newcomer, ever; the good visitor's p99 during each attack
// below 4 × its quiet p99, which is the median of three quiet times (before, in between, after), and 2 ms at least: below
// that it is the machine's own noise. Memory 15 s after the last attack at most 10 % above what it was before the first.
// Before is after a brief round of all attacks: code that was never read from its file, tables that grow once and
// TLS's bounded cache of sessions are no leak, and what a second round adds would be one. The fresh process is printed.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { BINARY } from '../browser/demo.mjs';
import { freePorts } from '../browser/ports.mjs';

const EACH = Number(process.env.SECONDS_EACH ?? 10);
const RATE = 200;
const NEWCOMERS = 5;
const GOOD = '127.0.0.9';
const LIMITS = { ratio: 4, floor: 2, memory: 1.1 };
const SETTLE = 15;
/** How long the brief round gives each attack. */
const BRIEF = 2;

try {
  os.setPriority(0, -10);
} catch {
  console.log('not root: what else this machine does is measured too');
}

const here = path.dirname(fileURLToPath(import.meta.url));
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'anteport-floods-'));
const children = [];

function start(command, options = {}) {
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'], ...options });
  children.push(child);
  return child;
}

/** Ends it, if it has not. */
async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await once(child, 'exit');
  clearTimeout(late);
}
process.once('exit', () => children.forEach((child) => child.kill('SIGKILL')));

// --- the proxy and the portal

const portal = start([process.execPath, path.join(here, 'portal.mjs')]);
const [printed] = await once(portal.stdout, 'data');
const upstream = Number(printed.toString());
const port = await freePorts(2);
const authority = `127.0.0.1:${port}`;
const key = path.join(work, 'tls.key');
const certificate = path.join(work, 'tls.crt');
execFileSync('openssl', [
  'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
  '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate,
], { stdio: 'ignore' });
fs.chmodSync(key, 0o600);
const secret = path.join(work, 'client_secret');
fs.writeFileSync(secret, 'a-client-secret-that-nobody-needs', { mode: 0o600 });
const file = path.join(work, 'config.yaml');
fs.writeFileSync(file, `listen: { address: "${authority}", tls: { certificate: ${certificate}, key: ${key} } }
admin: { address: "127.0.0.1:${port + 1}" }
providers:
  corporate:
    kind: entra_id
    authority: https://127.0.0.1:1
    tenant: 3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11
    client_id: a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20
    credentials: [ { secret: { file: ${secret} } } ]
portals:
  - public_url: https://${authority}
    upstream: { url: "http://127.0.0.1:${upstream}" }
    mode: azure_only
    sign_in: { providers: [corporate] }
    local_login: { password_routes: [ { path: /form, methods: [POST], form: { password: "*" } } ] }
    routes: [ { path: /**, access: public } ]
    identity: { assertion: none }
logging: { access: false }
`);
const log = path.join(work, 'log');
const proxy = start([BINARY, 'run', '--config', file], { stdio: ['ignore', 'ignore', fs.openSync(log, 'w')] });

function textOf(url) {
  return new Promise((resolve, reject) => {
    http.get(url, (answer) => {
      let text = '';
      answer.on('data', (piece) => { text += piece; });
      answer.on('end', () => resolve(text));
    }).on('error', reject);
  });
}

/** The proxy's metrics, by name and labels. */
async function metrics() {
  const lines = (await textOf(`http://127.0.0.1:${port + 1}/metrics`)).split('\n');
  return new Map(lines.filter((line) => line && !line.startsWith('#')).map((line) => {
    const end = line.lastIndexOf(' ');
    return [line.slice(0, end), Number(line.slice(end + 1))];
  }));
}

/** What the portal has had so far. */
const portalCounts = async () => JSON.parse(await textOf(`http://127.0.0.1:${upstream}/counts`));

for (let tries = 0; ; tries += 1) {
  if (await metrics().then(() => true, () => false)) break;
  if (tries > 100 || proxy.exitCode !== null) throw new Error(`the proxy does not start:\n${fs.readFileSync(log)}`);
  await sleep(100);
}

/** Memory in MiB: all that is resident, and of that what is the proxy's own (not pages of its file). */
function memory() {
  const status = fs.readFileSync(`/proc/${proxy.pid}/status`, 'utf8');
  const mebi = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)[1]) / 1024;
  return { resident: mebi('VmRSS'), own: mebi('RssAnon') };
}

/** CPU time of a process, in seconds. */
const cpu = ({ pid }) =>
  fs.readdirSync(`/proc/${pid}/task`).map((task) =>
    Number(fs.readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0])).reduce((a, b) => a + b, 0) / 1e9;

// --- the good visitor

const agent = new https.Agent({ keepAlive: true, maxSockets: 16, timeout: 5_000, localAddress: GOOD });
const trust = fs.readFileSync(certificate);
const PAGE = 'x'.repeat(1024);

const PAGES = { agent, path: '/page', expected: PAGE };
const FORMS = { agent: false, method: 'POST', path: '/form', body: 'question=1', expected: 'thanks\n' };

/** One request; what was wrong with its answer, if anything. */
function ask({ body: form, expected, ...options }) {
  const headers = form && { 'content-type': 'application/x-www-form-urlencoded', 'content-length': form.length };
  return new Promise((resolve) => {
    const request = https.request({
      host: '127.0.0.1', port, localAddress: GOOD, ca: trust, timeout: 5_000, headers, ...options,
    }, (answer) => {
      let body = '';
      answer.setEncoding('latin1');
      answer.on('data', (piece) => { body += piece; });
      answer.on('error', (error) => resolve(`cut: ${error.message}`));
      answer.on('end', () => {
        if (answer.statusCode !== 200) resolve(`status ${answer.statusCode}`);
        else if (body !== expected) resolve(`a body of ${body.length} bytes`);
        else resolve(null);
      });
    });
    request.on('timeout', () => request.destroy(new Error('nothing for 5 s')));
    request.on('error', (error) => resolve(error.message));
    request.end(form);
  });
}

/** So many requests a second, until `isOver`; resolves to latencies in milliseconds and errors. */
async function visit(rate, options, isOver) {
  const found = { latencies: [], errors: new Map() };
  const underway = [];
  const begun = performance.now();
  for (let sent = 0; !isOver();) {
    for (; begun + (sent * 1000) / rate <= performance.now(); sent += 1) {
      const due = begun + (sent * 1000) / rate;
      underway.push(ask(options).then((wrong) => {
        if (wrong) found.errors.set(wrong, (found.errors.get(wrong) ?? 0) + 1);
        found.latencies.push(performance.now() - due);
      }));
    }
    await sleep(1);
  }
  await Promise.all(underway);
  found.latencies.sort((a, b) => a - b);
  return found;
}

const quantile = (values, q) => values[Math.min(values.length - 1, Math.ceil(q * values.length) - 1)] ?? 0;
const sum = (errors) => [...errors.values()].reduce((a, b) => a + b, 0);

/** The good visitor and the newcomer beside `attack`, which resolves to what it says of itself. */
async function measure(name, attack, seconds = EACH) {
  const [before, hadBefore, begun] = [await metrics(), await portalCounts(), performance.now()];
  const spentBefore = [proxy, portal].map(cpu);
  let isOver = false;
  let peak = memory();
  const watch = setInterval(() => {
    const now = memory();
    if (now.resident > peak.resident) peak = now;
  }, 100);
  const good = visit(RATE, PAGES, () => isOver);
  const newcomer = visit(NEWCOMERS, FORMS, () => isOver);
  const said = await attack(seconds);
  isOver = true;
  const [visits, arrivals] = [await good, await newcomer];
  clearInterval(watch);
  const spent = [proxy, portal].map((child, which) => (cpu(child) - spentBefore[which]) / ((performance.now() - begun) / 1000));
  const [after, had] = [await metrics(), await portalCounts()];
  const grown = [...after].filter(([id]) => /^anteport_(connections_refused|tls_handshakes|panics)/.test(id))
    .map(([id, value]) => [/="(\w+)"/.exec(id)?.[1] ?? 'panics', value - (before.get(id) ?? 0)])
    .filter(([, value]) => value > 0);
  return {
    name,
    said,
    requests: visits.latencies.length,
    errors: [...visits.errors, ...[...arrivals.errors].map(([what, count]) => [`newcomer: ${what}`, count])],
    failures: sum(visits.errors) + sum(arrivals.errors),
    p50: quantile(visits.latencies, 0.5),
    p99: quantile(visits.latencies, 0.99),
    worst: visits.latencies.at(-1),
    newcomer: quantile(arrivals.latencies, 0.99),
    spent,
    had: { requests: had.requests - hadBefore.requests, connections: had.connections - hadBefore.connections },
    proxy: grown.map(([reason, count]) => `${reason} ${count}`).join(', '),
    peak,
    after: memory(),
  };
}

// --- the attackers

/** Runs a program to its end; what it printed. */
async function output(command) {
  const child = start(['nice', '-n', '15', ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece) => { text += piece; });
  const [code] = await once(child, 'close');
  return { text, code };
}

const slow = (...options) => async (seconds) => {
  const { text } = await output([
    'slowhttptest', ...options, '-c', '400', '-r', '200', '-l', String(seconds), '-p', '5',
  ]);
  // It reports again and again, in colours; the last word counts.
  const plain = text.replace(/\x1b\[[\d;]*m/g, '');
  const last = (what) => [...plain.matchAll(new RegExp(`^${what}:\\s+(\\d+)`, 'gm'))].at(-1)?.[1] ?? '?';
  if (last('connected') === '?') throw new Error(`slowhttptest did not run:\n${text}`);
  return `400 connections; at the end ${last('connected')} open, ${last('closed')} closed, ${last('error')} failed`;
};

const streams = async (seconds) => {
  const { text } = await output([
    'h2load', '-c', '10', '-m', '100', '--rps', '100', '-D', String(seconds), `https://${authority}/page`,
  ]);
  const found = /^requests: (.*)$/m.exec(text);
  if (!found) throw new Error(`h2load did not run:\n${text}`);
  return `10 connections of 100 streams: ${found[1]}`;
};

const ours = (name) => async (seconds) => {
  const { text, code } = await output([
    process.execPath, path.join(here, 'attackers.mjs'), name, String(port), authority, String(seconds),
  ]);
  if (code !== 0) throw new Error(`the attack did not run:\n${text}`);
  const { opened, closed, sent } = JSON.parse(text);
  return `${opened} connections, of which ${closed} were closed on it${sent ? `; ${sent} requests or frames` : ''}`;
};

const attacks = {
  'slow-headers': slow('-H', '-i', '1', '-u', `https://${authority}/page`),
  'slow-body': slow('-B', '-i', '1', '-s', '8192', '-u', `https://${authority}/upload`),
  'slow-read': slow('-X', '-n', '1', '-w', '16', '-y', '64', '-z', '16', '-u', `https://${authority}/long`),
  'many-streams': streams,
  ...Object.fromEntries([
    'h2-slow-read', 'h2-slow-body', 'h2-slow-forms', 'rapid-reset', 'late-reset', 'continuation', 'pings', 'connections', 'handshakes',
  ].map((name) => [name, ours(name)])),
};

// --- the run

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !attacks[name]);
if (unknown.length) throw new Error(`no such attack: ${unknown.join(', ')}; there are ${Object.keys(attacks).join(', ')}`);
const quiet = (seconds) => sleep(seconds * 1000).then(() => '');
const isFine = [];
const verdict = (fine) => {
  isFine.push(fine);
  return fine ? 'ok  ' : 'OVER';
};

function show(row, fine, ratio) {
  const { name, said, requests, errors, p50, p99, worst, newcomer, spent, had, peak, after } = row;
  console.log(`${fine} ${name.padEnd(12)} p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms${ratio}, worst ${worst.toFixed(0)} ms, ` +
    `newcomer p99 ${newcomer.toFixed(0)} ms; ${requests} requests, ${row.failures} errors; ` +
    `proxy ${spent[0].toFixed(2)} cores, portal ${spent[1].toFixed(2)}, ${peak.resident.toFixed(1)} MiB at its peak, ${after.resident.toFixed(1)} then`);
  if (said) console.log(`     attacker: ${said}`);
  if (said) console.log(`     proxy: ${row.proxy}; the portal had ${had.requests} requests on ${had.connections} connections`);
  for (const [what, count] of errors) console.log(`     error: ${count} × ${what}`);
}

const names = wanted.length ? wanted : Object.keys(attacks);

try {
  console.log(`${os.cpus().length} cores, ${RATE} requests a second, ${EACH} s each`);
  await measure('warming up', quiet, BRIEF);
  const fresh = memory();
  for (const name of names) await measure(name, attacks[name], BRIEF);
  await measure('settling', quiet, SETTLE);
  const first = await measure('quiet', quiet);
  const before = memory();
  show(first, '    ', '');
  const rows = [];
  const calm = [first];
  const middle = names[names.length >> 1];
  for (const name of names) {
    if (name === middle) {
      calm.push(await measure('quiet', quiet));
      show(calm.at(-1), '    ', '');
    }
    const row = await measure(name, attacks[name]);
    // Against what is known of quiet so far; judged at the end.
    show(row, '    ', ` (× ${(row.p99 / Math.max(LIMITS.floor, first.p99)).toFixed(2)})`);
    rows.push(row);
    await sleep(2_000);
  }
  const last = await measure('quiet again', quiet, SETTLE);
  show(last, '    ', '');
  const after = memory();

  console.log('');
  calm.push(last);
  const base = Math.max(LIMITS.floor, calm.map((row) => row.p99).sort((a, b) => a - b)[1]);
  console.log(`     quiet p99: ${calm.map((row) => row.p99.toFixed(2)).join(', ')} ms, of which the median counts`);
  for (const row of calm) console.log(`${verdict(row.failures === 0)} ${row.name}: ${row.failures} errors (limit 0)`);
  for (const row of rows) {
    const ratio = row.p99 / base;
    console.log(`${verdict(row.failures === 0 && ratio < LIMITS.ratio)} ${row.name}: ${row.failures} errors (limit 0), ` +
      `p99 × ${ratio.toFixed(2)} of ${base.toFixed(2)} ms (limit ${LIMITS.ratio})`);
  }
  const peak = Math.max(...rows.map((row) => row.peak.resident));
  const ratio = after.resident / before.resident;
  console.log(`${verdict(ratio <= LIMITS.memory)} memory: ${before.resident.toFixed(1)} MiB before, ${peak.toFixed(1)} at the peak, ` +
    `${after.resident.toFixed(1)} ${SETTLE} s after, × ${ratio.toFixed(2)} (limit ${LIMITS.memory}); ` +
    `${fresh.resident.toFixed(1)} when fresh; of it its own ${fresh.own.toFixed(1)} when fresh, ${before.own.toFixed(1)} before, ${after.own.toFixed(1)} after`);
  const now = await metrics();
  const panics = [...now].filter(([id]) => id.startsWith('anteport_panics')).reduce((all, [, value]) => all + value, 0);
  const open = now.get('anteport_connections');
  console.log(`${verdict(panics === 0)} panics: ${panics}; ${open} connections are open`);
} finally {
  agent.destroy();
  await stop(proxy);
  await Promise.all(children.map(stop));
  fs.rmSync(work, { recursive: true, force: true });
}
process.exitCode = isFine.every(Boolean) ? 0 : 1;
