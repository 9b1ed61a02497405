// The benchmark beside nginx: CPU time of the proxy for an authenticated, signed request, as a ratio within one run.
// How and why: each program, the load and the portal share one core; what counts is the CPU time that the kernel noted
// for the proxy's process tree, and the median of the ratios of neighbouring rounds.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { BINARY, startDemo } from '../browser/demo.mjs';
import { freePorts } from '../browser/ports.mjs';
import { logIn } from './login.mjs';

const number = (name, otherwise) => Number(process.env[name] ?? otherwise);
const ROUNDS = number('ROUNDS', 5);
const SECONDS = number('ROUND_SECONDS', 5);
const STARTS = number('STARTS', 10);
/** An older binary to compare with in the same run, if there is one. */
const BASELINE = process.env.BASELINE;
const CONNECTIONS = 64;
const SIZE = 1024;
const LIMITS = { ratio: 1.5, baseline: 1.05, start: 100, resident: 20 };
const PATH = '/reports';

const here = path.dirname(fileURLToPath(import.meta.url));
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'anteport-bench-'));
const children = [];
const demos = [];

/** The last core that we may use. */
const core = execFileSync('taskset', ['-cp', String(process.pid)], { encoding: 'utf8' })
  .trim().split(/[ ,-]/).at(-1);
const pinned = ['taskset', '-c', core];

function start(command, options = {}) {
  const child = spawn(command[0], command.slice(1), { stdio: 'ignore', ...options });
  children.push(child);
  return child;
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await once(child, 'exit');
  clearTimeout(late);
}

/** Connects until somebody answers `GET target` with 200; the time that took, in milliseconds. */
async function answers200(port, target, patience = 20_000) {
  const begun = performance.now();
  const attempt = () =>
    new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.setTimeout(1_000, () => socket.destroy());
      socket.once('connect', () =>
        socket.write(`GET ${target} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: close\r\n\r\n`));
      socket.once('data', (bytes) => {
        resolve(bytes.toString('latin1').startsWith('HTTP/1.1 200'));
        socket.destroy();
      });
      socket.once('error', () => resolve(false));
      socket.once('close', () => resolve(false));
    });
  while (!(await attempt())) {
    if (performance.now() - begun > patience) throw new Error(`no 200 from port ${port} for ${target}`);
    await sleep(1);
  }
  return performance.now() - begun;
}

async function nginx(name, http) {
  const port = await freePorts(1);
  const prefix = path.join(work, name);
  fs.mkdirSync(prefix);
  const file = path.join(prefix, 'nginx.conf');
  // The user has to be able to read what root wrote, so there are no other workers than root's.
  const user = process.getuid() === 0 ? 'user root;' : '';
  fs.writeFileSync(file, `${user} daemon off; worker_processes 1; pid ${prefix}/pid; error_log ${prefix}/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${prefix}/body; proxy_temp_path ${prefix}/proxy; fastcgi_temp_path ${prefix}/fastcgi;
  uwsgi_temp_path ${prefix}/uwsgi; scgi_temp_path ${prefix}/scgi;
  tcp_nodelay on; keepalive_requests 1000000000;
  ${http(port)}
}
`);
  const child = start([...pinned, 'nginx', '-p', prefix, '-c', file]);
  await answers200(port, PATH);
  return { port, pid: child.pid, stop: () => stop(child) };
}

/** This process and all below it. */
function tree(pid) {
  const below = fs.readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    fs.readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean));
  return [pid, ...below.flatMap((child) => tree(child))];
}

/** CPU time of a process tree, in nanoseconds. */
const cpu = (pid) =>
  tree(pid).flatMap((pid) =>
    fs.readdirSync(`/proc/${pid}/task`).map((task) =>
      Number(fs.readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]))).reduce((a, b) => a + b, 0);

/** Loads a proxy; CPU time per request in microseconds, and requests per second. */
async function load(target, seconds) {
  const cookie = target.cookie ? ['-H', `Cookie: ${target.cookie}`] : [];
  const before = cpu(target.pid);
  const wrk = spawn(pinned[0], [
    ...pinned.slice(1), 'wrk', '-t', '1', '-c', String(CONNECTIONS), '-d', `${seconds}s`,
    '-s', path.join(here, 'answers.lua'), ...cookie, `http://127.0.0.1:${target.port}${PATH}`, '--', String(SIZE),
  ], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(wrk);
  let output = '';
  wrk.stdout.on('data', (chunk) => { output += chunk; });
  await once(wrk, 'close');
  const spent = cpu(target.pid) - before;
  const result = /^RESULT (.*)$/m.exec(output);
  if (!result) throw new Error(`wrk did not finish:\n${output}`);
  const { requests, wrong, first, errors } = JSON.parse(result[1]);
  if (wrong || errors || !requests) {
    throw new Error(`${target.name}: of ${requests} answers ${wrong} are wrong (${first}), ${errors} errors`);
  }
  return { micros: spent / requests / 1000, rate: requests / seconds };
}

const sorted = (values) => [...values].sort((a, b) => a - b);
const median = (values) => {
  const all = sorted(values);
  const middle = all.length >> 1;
  return all.length % 2 ? all[middle] : (all[middle - 1] + all[middle]) / 2;
};
const spread = (values) => `${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)}`;
const verdicts = [];
const judge = (what, value, limit, unit) => {
  const fine = value <= limit;
  verdicts.push(fine);
  return `${fine ? 'ok  ' : 'OVER'} ${what}: ${value.toFixed(unit === 'ms' ? 0 : 2)} ${unit} (limit ${limit})`;
};

async function ratioToNginx() {
  const answer = `default_type text/plain; return 200 "${'x'.repeat(SIZE)}";`;
  const portal = await nginx('portal', (port) => `server { listen 127.0.0.1:${port}; location / { ${answer} } }`);
  const plain = await nginx('plain', (port) => `
  upstream b { server 127.0.0.1:${portal.port}; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; }
  }`);
  const before = async (name, binary) => {
    const demo = await startDemo({ before: pinned, more: ['--portal-port', String(portal.port)], binary });
    demos.push(demo);
    const cookie = await logIn(demo.proxy, PATH, 'treasurer@harborclub.example', 'demo');
    // Proof that what is measured is a signed request: without the cookie there is no 200.
    const refused = await fetch(`${demo.proxy}${PATH}`, { redirect: 'manual' });
    if (refused.status === 200) throw new Error('the request passes without a session: that is not what is to be measured');
    return { name, pid: demo.pid, port: Number(new URL(demo.proxy).port), cookie };
  };
  const targets = [{ name: 'nginx', ...plain }, await before('anteport', BINARY)];
  if (BASELINE) targets.push(await before('baseline', BASELINE));

  for (const target of targets) await load(target, 2);
  const ratios = { nginx: [], baseline: [] };
  for (let round = 1; round <= ROUNDS; round += 1) {
    // In turn, and who is first changes.
    const order = [...targets.slice(round % targets.length), ...targets.slice(0, round % targets.length)];
    const found = new Map();
    for (const target of order) found.set(target.name, await load(target, SECONDS));
    const ours = found.get('anteport').micros;
    for (const [name, list] of Object.entries(ratios)) {
      if (found.has(name)) list.push(ours / found.get(name).micros);
    }
    console.log(`round ${round}: ` + targets.map(({ name }) => {
      const { micros, rate } = found.get(name);
      return `${name} ${micros.toFixed(2)} µs, ${rate.toFixed(0)}/s`;
    }).join('; '));
  }
  for (const demo of demos) await demo.stop();
  await plain.stop();
  await portal.stop();
  const line = judge('CPU per authenticated, signed request, against plain nginx', median(ratios.nginx), LIMITS.ratio, '×');
  console.log(`${line}; ${ROUNDS} rounds from ${spread(ratios.nginx)}`);
  if (BASELINE) {
    const against = judge('the same against the baseline', median(ratios.baseline), LIMITS.baseline, '×');
    console.log(`${against}; ${ROUNDS} rounds from ${spread(ratios.baseline)}`);
  }
}

/** `anteport run` with a real configuration; the provider is not reachable, and need not be for readiness. */
async function runPlain() {
  const first = await freePorts(3);
  const secret = path.join(work, 'client_secret');
  fs.writeFileSync(secret, 'a-client-secret-for-the-benchmark', { mode: 0o600 });
  const file = path.join(work, 'config.yaml');
  fs.writeFileSync(file, `listen: { address: "127.0.0.1:${first}" }
admin: { address: "127.0.0.1:${first + 1}" }
providers:
  corporate:
    kind: entra_id
    tenant: 3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11
    client_id: a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20
    credentials:
      - secret: { file: ${secret} }
portals:
  - public_url: http://127.0.0.1:${first}
    upstream: { url: "http://127.0.0.1:${first + 2}" }
    mode: azure_only
    sign_in: { providers: [corporate] }
    identity: { assertion: { algorithm: ES256, lifetime: 60s } }
`);
  const checked = spawnSync(BINARY, ['check', '--config', file], { encoding: 'utf8' });
  if (checked.status !== 0) throw new Error(`the configuration is refused:\n${checked.stdout}${checked.stderr}`);
  const begin = async () => {
    const child = start([BINARY, 'run', '--config', file]);
    return { child, took: await answers200(first + 1, '/readyz') };
  };
  const times = [];
  for (let round = 0; round < STARTS; round += 1) {
    const { child, took } = await begin();
    times.push(took);
    await stop(child);
  }
  console.log(`${judge('start to the first 200 of /readyz', median(times), LIMITS.start, 'ms')}; ${STARTS} starts, ` +
    `${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)} ms`);
  const { child } = await begin();
  await sleep(2_000);
  const resident = /^VmRSS:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${child.pid}/status`, 'utf8'));
  await stop(child);
  console.log(judge('resident, idle', Number(resident[1]) / 1024, LIMITS.resident, 'MiB'));
}

try {
  console.log(`core ${core} of ${os.cpus().length}, ${CONNECTIONS} connections, ${SIZE} bytes, ${SECONDS} s a round`);
  await ratioToNginx();
  await runPlain();
} finally {
  await Promise.all(demos.map((demo) => demo.stop()));
  await Promise.all(children.map(stop));
  fs.rmSync(work, { recursive: true, force: true });
}
process.exitCode = verdicts.every(Boolean) ? 0 : 1;
