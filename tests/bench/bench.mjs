// The benchmark beside nginx: CPU time of the proxy for an authenticated, signed request, as a ratio within one run.
// How and why: each program, the load and the portal share one core; what counts is the CPU time that the kernel noted
// for the proxy's process tree, and the median of the ratios of neighbouring rounds.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { BINARY, startDemo } from '../browser/demo.mjs';
import { freePorts } from '../browser/ports.mjs';
import {
  CONNECTIONS, ROUNDS, SECONDS, SIZE, answers200, core, finish, judge, load, median, nginx, number, pinned, spread, start,
  stop, work,
} from './kit.mjs';
import { logIn } from './login.mjs';

const STARTS = number('STARTS', 10);
/** An older binary to compare with in the same run, if there is one. */
const BASELINE = process.env.BASELINE;
const LIMITS = { ratio: 1.5, baseline: 1.05, start: 100, resident: 20 };
const PATH = '/reports';
const demos = [];

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
    return { name, pid: demo.pid, port: Number(new URL(demo.proxy).port), path: PATH, cookie };
  };
  const targets = [{ name: 'nginx', path: PATH, ...plain }, await before('anteport', BINARY)];
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
  await finish();
}
