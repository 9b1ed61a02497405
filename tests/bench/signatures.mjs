// What the assertion and a message signature take of a request: CPU time of the proxy for an authenticated request with plain
// headers alone, with the assertion besides, and with both and a signature, within one run, processes of the binary in turn, each
// round with new ones.
import os from 'node:os';

import { BINARY } from '../browser/demo.mjs';
import { freePorts } from '../browser/ports.mjs';
import {
  CONNECTIONS, ROUNDS, SECONDS, SIZE, answers200, core, emulated, finish, judge, load, median, nginx, pinned, spread, start, stop,
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
  const identity = `      assertion: ${assertion}\n      signature: ${signature}`;
  const file = await emulated(name, first, portal, { identity });
  const target = { name, port: first, path: PATH };
  /** A new process, which knows who is signed in and has been used for a moment. */
  target.again = async () => {
    target.child = start([...pinned, BINARY, 'run', '--config', file]);
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
