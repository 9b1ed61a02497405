// ENV-06: each verifier before a portal of its language, behind the proxy, with the emulated Microsoft. Nobody comes
// in by plain headers, by a forged assertion or by that of another portal; and the keys are found anew.
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { freePorts } from '../browser/ports.mjs';
import { Browser } from '../oidc_provider/browser.mjs';
import { place, run, start, stop, stopAll } from '../portals/processes.mjs';
import { ask } from './ask.mjs';
import { build, LANGUAGES, README } from './languages.mjs';

const ANTEPORT = fileURLToPath(new URL('../../target/release/anteport', import.meta.url));
const HEADER = 'X-Anteport-Assertion';
const PLAIN = [['X-Auth-User', 'mallory'], ['X-Auth-Name', 'Mallory'], ['Remote-User', 'mallory'], ['X-Member', 'mallory']];

const first = await freePorts(2 * LANGUAGES.length + 5);
const [proxy, admin, microsoft, keyServer, behindNginx] = [0, 1, 2, 3, 4].map((more) => first + more);
const portals = LANGUAGES.map((language, at) => ({
  ...language,
  origin: `http://127.0.0.${at + 1}:${proxy}`,
  audience: `portal-${at + 1}`,
  port: first + 5 + at,
}));

/** The keys of the proxy once they can be had; before that, nonsense, which nobody may stumble over for good. */
const keys = { areThere: false, asked: 0, fail: () => false };
const keySet = http.createServer(async (request, answer) => {
  keys.asked += 1;
  // Its clock is a minute slow, which is nobody's business: an unknown key is a 401 all the same.
  answer.setHeader('Date', new Date(Date.now() - 60_000).toUTCString());
  if (keys.fail(answer)) return;
  if (!keys.areThere) {
    answer.end('{"keys":[null,"none",7,[],{}]}');
    return;
  }
  answer.end((await ask(`${portals[0].origin}/.auth/jwks.json`)).text);
});

/** What nginx stands before: it knows its members by a header alone. */
const simple = http.createServer(async (request, answer) => {
  const { 'x-member': member, 'x-anteport-assertion': assertion } = request.headers;
  let body = '';
  for await (const piece of request) body += piece;
  answer.end(JSON.stringify({ sub: decodeURIComponent(member), assertion, body }));
});

const config = path.join(place, 'verify.yaml');
const emulated = path.join(place, 'emulated.yaml');
let gate;
const startGate = async () => { gate = await start('anteport', ANTEPORT, ['run', '--config', emulated], { port: proxy }); };

before(async () => {
  writeFileSync(config, `
listen: { address: "127.0.0.1:${proxy}" }
admin: { address: "127.0.0.1:${admin}" }
providers:
  corporate:
    kind: entra_id
    tenant: 3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11
    client_id: a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20
    credentials: [ { secret: { value: any } } ]
portals:${portals.map(({ origin, port, audience }) => `
  - public_url: "${origin}"
    upstream: { url: "http://127.0.0.1:${port}" }
    local_login: {}
    identity: { headers: { X-Auth-User: oid, X-Auth-Name: name }, assertion: { audience: ${audience} } }`).join('')}
`);
  keySet.listen(keyServer, '127.0.0.1');
  simple.listen(behindNginx, '127.0.0.1');
  await Promise.all([
    build().then(() => Promise.all(portals.map((portal) => portal.serve(String(portal.port), {
      issuer: portal.origin,
      audience: portal.audience,
      keys: `http://127.0.0.1:${keyServer}/jwks.json`,
      portal: `http://127.0.0.1:${behindNginx}`,
    })))),
    start('emulator', ANTEPORT, ['emulator', '--config', config, '--port', String(microsoft), '--write', emulated], {
      ready: () => existsSync(emulated),
    }).then(startGate),
  ]);
});

after(async () => {
  await stopAll();
  keySet.close();
  simple.close();
});

/** Signs the treasurer in, and says what the portal then shows. */
async function signIn({ origin }, browser = new Browser()) {
  let page = await browser.open(`${origin}/`);
  if (/name="password"/.test(page.html)) {
    page = await browser.send(page, { username: 'treasurer@harborclub.example', password: 'demo' });
  }
  assert.equal(page.url, `${origin}/`, page.html);
  return { browser, page };
}

const direct = (portal, lines) => ask(`http://127.0.0.1:${portal.port}/`, lines);
const json = (text) => JSON.parse(text);
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** The same assertion, signed by a key that somebody has made. */
function forged(assertion) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [header] = assertion.split('.');
  const claims = { ...json(Buffer.from(assertion.split('.')[1], 'base64url')), sub: 'mallory' };
  const message = `${header}.${part(claims)}`;
  return `${message}.${sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

/** Asks again until it is so; the time is that of the verifiers. */
async function until(isSo) {
  const end = Date.now() + 60_000;
  while (!(await isSo())) {
    assert.ok(Date.now() < end, 'it did not become so');
    await new Promise((done) => { setTimeout(done, 250); });
  }
}

const each = (work) => Promise.all(portals.map(work));

test('env_06: keys that cannot be had let nobody through, and say so', () => each(async (portal) => {
  Object.assign(portal, await signIn(portal));
  assert.equal(portal.page.status, 503, `${portal.name}: ${portal.page.html}`);
  assert.match(portal.page.html, /cannot be verified now/, portal.name);
}));

test('env_06: once they are there, a Microsoft sign-in is a member of the portal', async () => {
  keys.areThere = true;
  await each((portal) => until(async () => {
    const page = await portal.browser.ask(`${portal.origin}/`);
    if (page.status === 503) return false;
    assert.equal(page.status, 200, `${portal.name}: ${page.html}`);
    Object.assign(portal, json(page.html));
    assert.match(portal.sub, /^3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11\.[0-9a-f-]{36}$/, portal.name);
    return true;
  }));
});

test('env_06: around the proxy, only the assertion for this portal counts', () => each(async (portal, at) => {
  const { assertion, name } = portal;
  const other = portals[(at + 1) % portals.length].assertion;
  const refused = {
    nothing: [],
    'plain headers': PLAIN,
    'an assertion of another portal': [[HEADER, other]],
    'an assertion of another portal beside plain headers': [[HEADER, other], ...PLAIN],
    'a forged one': [[HEADER, forged(assertion)]],
    'two lines': [[HEADER, assertion], [HEADER, assertion]],
    'two lines, one forged': [[HEADER, forged(assertion)], [HEADER, assertion]],
    'another scheme': [['Authorization', `Bearer ${assertion}`]],
  };
  for (const [what, lines] of Object.entries(refused)) {
    const answer = await direct(portal, lines);
    assert.equal(answer.status, 401, `${name}: ${what}: ${answer.text}`);
    assert.match(answer.text, /Please sign in/, `${name}: ${what}`);
    assert.match(answer.headers['content-type'], /^text\/plain/, `${name}: ${what}`);
  }
  // What was refused would otherwise have been good.
  const answer = await direct(portal, [[HEADER, assertion], ...PLAIN]);
  assert.equal(answer.status, 200, `${name}: ${answer.text}`);
  assert.equal(json(answer.text).sub, portal.sub, name);
}));

test('env_06: a visitor forges no header through the proxy', () => each(async (portal, at) => {
  const lines = [[HEADER, portals[(at + 1) % portals.length].assertion], ...PLAIN];
  const stranger = await ask(`${portal.origin}/`, lines);
  assert.notEqual(stranger.status, 200, portal.name);
  assert.doesNotMatch(stranger.text, /mallory|"sub"/, portal.name);
  const cookie = portal.browser.cookies(portal.origin);
  const member = await ask(`${portal.origin}/`, lines, cookie);
  assert.equal(json(member.text).sub, portal.sub, portal.name);
}));

test('many at once are all let in, and a form reaches what is behind nginx', async () => {
  await each(async (portal) => {
    const answers = await Promise.all(Array.from({ length: 30 }, () => direct(portal, [[HEADER, portal.assertion]])));
    for (const { status, text } of answers) assert.equal(status, 200, `${portal.name}: ${text}`);
  });
  const portal = portals.find(({ name }) => name.startsWith('nginx'));
  const form = `wish=${'near the crane '.repeat(5000)}`;
  const answer = await fetch(`http://127.0.0.1:${portal.port}/`, {
    method: 'POST', headers: { [HEADER]: portal.assertion, 'X-Member': 'mallory' }, body: form,
  });
  assert.deepEqual(await answer.json(), { sub: portal.sub, assertion: portal.assertion, body: form });
});

test('env_06: key ids that nobody knows have the keys asked for now and then, not each time', async () => {
  const before = keys.asked;
  const begun = Date.now();
  await each(async (portal) => {
    const [header, ...rest] = portal.assertion.split('.');
    for (let number = 0; number < 10; number += 1) {
      const unknown = part({ ...json(Buffer.from(header, 'base64url')), kid: `nobody's ${number}` });
      assert.equal((await direct(portal, [[HEADER, [unknown, ...rest].join('.')]])).status, 401, portal.name);
    }
  });
  const most = portals.length * (1 + Math.ceil((Date.now() - begun) / 10_000));
  assert.ok(keys.asked - before <= most, `asked ${keys.asked - before} times`);
});

test('env_06: after a restart with new keys, the new one is found and the old one is not believed', async () => {
  await stop(gate);
  await startGate();
  await each(async (portal) => {
    const old = portal.assertion;
    ({ browser: portal.browser } = await signIn(portal));
    await until(async () => (await portal.browser.ask(`${portal.origin}/`)).status === 200);
    // nginx has a copy of the old key for some minutes, as its page says.
    if (portal.files[0].startsWith('nginx')) return;
    assert.equal((await direct(portal, [[HEADER, old]])).status, 401, portal.name);
  });
});

const signingKeys = path.join(place, 'signing_keys.pem');
const keysOf = (verb, ...more) => run(ANTEPORT, ['keys', verb, '--file', signingKeys, ...more]);

test('env_04: while keys are exchanged under load, and can only now and then be had, nobody is refused', async () => {
  await stop(gate);
  await keysOf('generate');
  writeFileSync(emulated, JSON.stringify({ ...json(readFileSync(emulated, 'utf8').replace(/^#.*$/gm, '')), signing: { keys: [{ file: signingKeys }] } }));
  await startGate();
  await each(async (portal) => {
    ({ browser: portal.browser } = await signIn(portal));
    await until(async () => {
      const page = await portal.browser.ask(`${portal.origin}/`);
      if (page.status === 200) portal.assertion = json(page.html).assertion;
      return page.status === 200;
    });
  });
  const kid = (assertion) => json(Buffer.from(assertion.split('.')[0], 'base64url')).kid;
  const before = kid(portals[0].assertion);
  // Two of three answers are none.
  const begun = keys.asked;
  keys.fail = (answer) => {
    if (keys.asked % 3 === 0) return false;
    if (keys.asked % 3 === 1) answer.writeHead(500).end();
    else answer.destroy();
    return true;
  };
  // As it is after ten minutes.
  const then = new Date(Date.now() - 601_000);
  const said = then.toISOString().replace(/\.\d+/, '');
  writeFileSync(signingKeys, readFileSync(signingKeys, 'utf8').replace(/^Written: .*$/m, `Written: ${said}`));
  utimesSync(signingKeys, then, then);
  await keysOf('rotate');
  const answered = Object.fromEntries(portals.map(({ name }) => [name, 0]));
  await each(async (portal) => {
    const cookie = portal.browser.cookies(portal.origin);
    const [header, ...rest] = portal.assertion.split('.');
    const unknown = part({ ...json(Buffer.from(header, 'base64url')), kid: 'of nobody' });
    let now;
    // Until the new key signs here, and every verifier has met a bad answer: somebody asks it for an unknown key all the time.
    await until(async () => {
      const pages = await Promise.all([0, 1, 2].map(() => ask(`${portal.origin}/`, [], cookie)));
      for (const { status, text } of pages) {
        assert.equal(status, 200, `${portal.name}: ${text}`);
        now = json(text).assertion;
      }
      answered[portal.name] += pages.length;
      assert.notEqual((await direct(portal, [[HEADER, [unknown, ...rest].join('.')]])).status, 200, portal.name);
      return kid(now) !== before && keys.asked - begun >= 3 * portals.length;
    });
    assert.equal((await direct(portal, [[HEADER, now]])).status, 200, portal.name);
  });
  for (const [name, count] of Object.entries(answered)) assert.ok(count >= 9, `${name}: ${count} answers`);
});

test('env_06: the keys are where the page says, at the public URL of a running proxy', async () => {
  const keysUrl = `${portals[0].origin}/.auth/jwks.json`;
  assert.ok(README.includes('`https://members.example.org/.auth/jwks.json`'), 'which is the public URL with that path');
  // By an address that is no portal's they are not: it has no host (HOST-01).
  assert.equal((await fetch(`http://localhost:${proxy}/.auth/jwks.json`)).status, 421);
  await each(async (portal) => {
    const port = String(portal.port + LANGUAGES.length);
    const { origin: issuer, audience } = portal;
    await portal.serve(port, { issuer, audience, keys: keysUrl, portal: `http://127.0.0.1:${behindNginx}` });
    const page = await portal.browser.ask(`${portal.origin}/`);
    const answer = await ask(`http://127.0.0.1:${port}/`, [[HEADER, json(page.html).assertion]]);
    assert.equal(answer.status, 200, `${portal.name}: ${answer.text}`);
  });
});
