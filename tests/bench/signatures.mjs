// What the assertion and a message signature take of a request: CPU time of the proxy for an authenticated request with plain
// headers alone, with the assertion besides, and with both and a signature, within one run, processes of the binary in turn, each
// round with new ones.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { BINARY } from '../browser/demo.mjs';
import { freePorts } from '../browser/ports.mjs';
import {
  CONNECTIONS, ROUNDS, SECONDS, SIZE, answers200, core, finish, judge, load, median, nginx, pinned, spread, start, stop, work,
} from './kit.mjs';
import { logIn } from './login.mjs';

/** How many microseconds ed25519 may add. What hmac-sha256 may is less than what this tells apart: `benches/signature.rs`. */
const LIMIT = 30;
const PATH = '/reports/2026/quarterly?year=2025&sort=name&page=3';
const SECRET = Buffer.alloc(32, 7).toString('base64');

const ASSERTION = '{ algorithm: ES256, lifetime: 60s }';

/** The binary before `portal` with this assertion and signature, and an emulated Microsoft of its own. */
async function anteport(name, portal, signature, assertion = ASSERTION) {
  const first = await freePorts(2);
  const file = path.join(work, `${name}.yaml`);
  const emulated = path.join(work, `${name}.emulated.yaml`);
  fs.writeFileSync(file, `listen: { address: "127.0.0.1:${first}" }
admin: { address: "127.0.0.1:${first + 1}" }
logging: { level: warn, access: false }
providers:
  corporate:
    kind: entra_id
    tenant: contoso.example
    client_id: a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20
    credentials: [ { secret: { value: any } } ]
portals:
  - public_url: http://127.0.0.1:${first}
    upstream: { url: "http://127.0.0.1:${portal.port}" }
    mode: azure_only
    local_login: {}
    routes: [ { path: "/**", access: signed_in } ]
    identity:
      headers: { X-Auth-User: oid, X-Auth-Email: email, X-Auth-Name: name, X-Auth-Roles: roles }
      assertion: ${assertion}
      signature: ${signature}
`);
  const microsoft = start([BINARY, 'emulator', '--config', file, '--port', '0', '--write', emulated], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve, reject) => {
    let said = '';
    microsoft.stdout.on('data', (piece) => {
      said += piece;
      if (said.includes('Ctrl-C stops it')) resolve();
    });
    microsoft.once('exit', (code) => reject(new Error(`the emulator ended with ${code}:\n${said}`)));
  });
  const target = { name, port: first, path: PATH };
  /** A new process, which knows who is signed in and has been used for a moment. */
  target.again = async () => {
    target.child = start([...pinned, BINARY, 'run', '--config', emulated]);
    target.pid = target.child.pid;
    await answers200(first + 1, '/readyz');
    target.cookie = await logIn(`http://127.0.0.1:${first}`, PATH, 'member@contoso.example', 'demo');
    await load(target, 1);
  };
  return target;
}

async function run() {
  const answer = `default_type text/plain; return 200 "${'x'.repeat(SIZE)}";`;
  const portal = await nginx('portal', (port) => `server { listen 127.0.0.1:${port}; location / { ${answer} } }`);
  const targets = [
    await anteport('plain headers', portal, 'none', 'none'),
    await anteport('no signature', portal, 'none'),
    await anteport('hmac-sha256', portal, `{ algorithm: hmac-sha256, secret: { value: "${SECRET}" } }`),
    await anteport('ed25519', portal, '{ algorithm: ed25519 }'),
  ];
  const added = new Map([['the assertion', []], ...targets.slice(2).map(({ name }) => [name, []])]);
  for (let round = 1; round <= ROUNDS; round += 1) {
    const found = new Map();
    for (const target of round % 2 ? targets : targets.toReversed()) {
      await target.again();
      found.set(target.name, await load(target, SECONDS));
      await stop(target.child);
    }
    for (const [name, all] of added) {
      const [more, less] = name === 'the assertion' ? ['no signature', 'plain headers'] : [name, 'no signature'];
      all.push(found.get(more).micros - found.get(less).micros);
    }
    console.log(`round ${round}: ` + targets.map(({ name }) => {
      const { micros, rate } = found.get(name);
      return `${name} ${micros.toFixed(2)} µs, ${rate.toFixed(0)}/s`;
    }).join('; '));
  }
  for (const [name, all] of added) {
    console.log(`     CPU that ${name} adds to a request, sending it included: ${median(all).toFixed(2)} µs; ${ROUNDS} rounds from ${spread(all)}`);
  }
  console.log(judge('what ed25519 adds to a request', median(added.get('ed25519')), LIMIT, 'µs'));
}

try {
  console.log(`core ${core} of ${os.cpus().length}, ${CONNECTIONS} connections, ${SIZE} bytes, ${SECONDS} s a round`);
  await run();
} finally {
  await finish();
}
