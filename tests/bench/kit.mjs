// What the benchmarks share: processes on one core, nginx, the load, and the CPU time that the kernel noted.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { BINARY } from '../browser/demo.mjs';
import { freePorts } from '../browser/ports.mjs';

export const number = (name, otherwise) => Number(process.env[name] ?? otherwise);
export const ROUNDS = number('ROUNDS', 5);
export const SECONDS = number('ROUND_SECONDS', 5);
export const CONNECTIONS = 64;
export const SIZE = 1024;

const here = path.dirname(fileURLToPath(import.meta.url));
export const work = fs.mkdtempSync(path.join(os.tmpdir(), 'anteport-bench-'));
const children = [];

/** The last core that we may use. */
export const core = execFileSync('taskset', ['-cp', String(process.pid)], { encoding: 'utf8' })
  .trim().split(/[ ,-]/).at(-1);
export const pinned = ['taskset', '-c', core];

export function start(command, options = {}) {
  const child = spawn(command[0], command.slice(1), { stdio: 'ignore', ...options });
  children.push(child);
  return child;
}

export async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await once(child, 'exit');
  clearTimeout(late);
}

/** Connects until somebody answers `GET target` with 200; the time that took, in milliseconds. */
export async function answers200(port, target, patience = 20_000) {
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

/**
 * Starts an emulated Microsoft for the binary at `first`, before `portal`, with `top` beside the usual in its configuration and
 * `identity` in the portal's; where the configuration is that asks it.
 */
export async function emulated(name, first, portal, { top = '', identity }) {
  const file = path.join(work, `${name}.yaml`);
  const written = path.join(work, `${name}.emulated.yaml`);
  fs.writeFileSync(file, `listen: { address: "127.0.0.1:${first}" }
admin: { address: "127.0.0.1:${first + 1}" }
logging: { level: warn, access: false }
providers:
  corporate:
    kind: entra_id
    tenant: contoso.example
    client_id: a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20
    credentials: [ { secret: { value: any } } ]
${top}
portals:
  - public_url: http://127.0.0.1:${first}
    upstream: { url: "http://127.0.0.1:${portal.port}" }
    mode: azure_only
    local_login: {}
    routes: [ { path: "/**", access: signed_in } ]
    identity:
      headers: { X-Auth-User: oid, X-Auth-Email: email, X-Auth-Name: name, X-Auth-Roles: roles }
${identity}
`);
  const words = ['emulator', '--config', file, '--port', '0', '--write', written];
  const microsoft = start([BINARY, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve, reject) => {
    let said = '';
    microsoft.stdout.on('data', (piece) => {
      said += piece;
      if (said.includes('Ctrl-C stops it')) resolve();
    });
    microsoft.once('exit', (code) => reject(new Error(`the emulator ended with ${code}:\n${said}`)));
  });
  return written;
}

export async function nginx(name, http) {
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
  await answers200(port, '/');
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

/** Loads a proxy, at `target.path`; CPU time per request in microseconds, and requests per second. */
export async function load(target, seconds) {
  const cookie = target.cookie ? ['-H', `Cookie: ${target.cookie}`] : [];
  const before = cpu(target.pid);
  const wrk = spawn(pinned[0], [
    ...pinned.slice(1), 'wrk', '-t', '1', '-c', String(CONNECTIONS), '-d', `${seconds}s`,
    '-s', path.join(here, 'answers.lua'), ...cookie, `http://127.0.0.1:${target.port}${target.path}`, '--', String(SIZE),
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
export const median = (values) => {
  const all = sorted(values);
  const middle = all.length >> 1;
  return all.length % 2 ? all[middle] : (all[middle - 1] + all[middle]) / 2;
};
export const spread = (values) => `${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)}`;
export const verdicts = [];
export const judge = (what, value, limit, unit) => {
  const fine = value <= limit;
  verdicts.push(fine);
  return `${fine ? 'ok  ' : 'OVER'} ${what}: ${value.toFixed(unit === 'ms' ? 0 : 2)} ${unit} (limit ${limit})`;
};

/** Whatever was started ends, and what was written is gone. */
export async function finish() {
  await Promise.all(children.map(stop));
  fs.rmSync(work, { recursive: true, force: true });
  process.exitCode = verdicts.every(Boolean) && !process.exitCode ? 0 : 1;
}
