// ENV-06, GEN-03: where PHP keeps the keys between two requests. What can be read and no longer written, a full disk and a
// folder that is not there turn nobody away who can be verified, and let nobody in who cannot.
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { freePorts } from '../browser/ports.mjs';
import { place, start, stopAll } from '../portals/processes.mjs';
import { ask } from './ask.mjs';

const PORTAL = fileURLToPath(new URL('portals/portal.php', import.meta.url));
const ISSUER = 'https://members.example.org';
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const seconds = () => Math.floor(Date.now() / 1000);

/** A key that somebody has made, as it is published, and an assertion that it signs now. */
function made(kid) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' },
    assertion() {
      const claims = { iss: ISSUER, aud: ISSUER, sub: 'tenant.member', iat: seconds(), exp: seconds() + 60 };
      const message = `${part({ typ: 'JWT', alg: 'ES256', kid })}.${part(claims)}`;
      return `${message}.${sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
    },
  };
}

const [old, next, stranger] = [made('old'), made('next'), made('stranger')];
/** What the cache holds when the keys were last had and asked for so many seconds ago. */
const keptFor = (age, ...of) => JSON.stringify({ keys: of.map(({ jwk }) => jwk), asked: seconds() - age, got: seconds() - age });

const published = { asked: 0, areThere: true, more: '' };
const keySet = http.createServer((_, answer) => {
  published.asked += 1;
  if (published.areThere) answer.end(JSON.stringify({ keys: [old.jwk, { ...next.jwk, more: published.more }] }));
  else answer.writeHead(500).end();
});
let port;
let keys;

before(async () => {
  port = await freePorts(6);
  keySet.listen(port, '127.0.0.1');
  keys = `http://127.0.0.1:${port}/jwks.json`;
});
after(async () => {
  await stopAll();
  keySet.closeAllConnections();
  keySet.close();
});

/** A portal whose cache is in a folder of this name; `limit` has it write nothing, as on a disk that is full. */
async function portal(name, { limit = '' } = {}) {
  port += 1;
  const cache = path.join(place, name, 'keys.json');
  const origin = `http://127.0.0.1:${port}/`;
  await start(`php-${name}`, 'bash', ['-c', `${limit} exec php -S 127.0.0.1:${port} ${PORTAL}`], {
    port,
    env: { ANTEPORT_ISSUER: ISSUER, ANTEPORT_AUDIENCE: ISSUER, ANTEPORT_KEYS: keys, ANTEPORT_CACHE: cache, PHP_CLI_SERVER_WORKERS: '4' },
  });
  published.asked = 0;
  published.areThere = true;
  return { cache, get: async (by) => (await ask(origin, [['X-Anteport-Assertion', by.assertion()]])).status };
}

const folder = (name) => mkdirSync(path.join(place, name));
const FULL = "trap '' XFSZ; ulimit -f 0;";

test('the keys are kept in one piece, and one of many asks for all', async () => {
  folder('good');
  const { cache, get } = await portal('good');
  assert.deepEqual(await Promise.all(Array.from({ length: 20 }, () => get(old))), Array(20).fill(200));
  assert.equal(published.asked, 1);
  assert.deepEqual(JSON.parse(readFileSync(cache)).keys.map(({ kid }) => kid), ['old', 'next']);
  assert.deepEqual(readdirSync(path.dirname(cache)).sort(), ['keys.json', 'keys.json.lock']);
  assert.equal(await get(stranger), 401);
  assert.equal(published.asked, 1, 'it is too soon to ask again');
});

test('env_06, gen_03: with a cache that can be read and no longer written, keys that are kept go on', async () => {
  folder('read-only');
  const { cache, get } = await portal('read-only');
  // Nobody can open it as a file, whoever runs this.
  mkdirSync(`${cache}.lock`);
  const kept = keptFor(400, old);
  writeFileSync(cache, kept);
  assert.equal(await get(old), 200);
  assert.equal(published.asked, 0, 'who has the key asks for nothing that cannot be kept');
  assert.equal(await get(next), 200, 'and a new one is fetched');
  assert.equal(await get(stranger), 401);
  assert.equal(published.asked, 2);
  published.areThere = false;
  assert.equal(await get(old), 200);
  assert.equal(await get(next), 503, 'nothing was said about who asks');
  writeFileSync(cache, keptFor(1300, old));
  assert.equal(await get(old), 503, 'nor are they believed for longer than else');
  published.areThere = true;
  assert.equal(await get(old), 200);
  assert.match(readFileSync(path.join(place, 'php-read-only.log'), 'utf8'), /the cache cannot be written/);
});

test('env_06, gen_03: on a full disk the cache stays as it is, and nobody is turned away', async () => {
  folder('full');
  const { cache, get } = await portal('full', { limit: FULL });
  assert.equal(await get(old), 200, 'with nothing kept');
  assert.equal(existsSync(cache), false);
  const kept = keptFor(400, old);
  writeFileSync(cache, kept);
  published.asked = 0;
  assert.deepEqual(await Promise.all(Array.from({ length: 8 }, () => get(old))), Array(8).fill(200));
  assert.equal(published.asked, 0);
  assert.equal(readFileSync(cache, 'utf8'), kept, 'what was there is there still');
  assert.equal(await get(next), 200);
  assert.equal(await get(stranger), 401);
});

test('env_06, gen_03: a disk that has room for a note and not for the keys turns nobody away', async () => {
  folder('small');
  const { get } = await portal('small', { limit: "trap '' XFSZ; ulimit -f 1;" });
  published.more = 'x'.repeat(5000);
  for (let time = 0; time < 3; time += 1) assert.equal(await get(old), 200, `time ${time}`);
  assert.equal(await get(stranger), 401);
  published.more = '';
});

test('env_06, gen_03: without a folder for the cache the keys are fetched, and the log says so', async () => {
  const { get } = await portal('not-there');
  assert.equal(await get(old), 200);
  assert.equal(await get(stranger), 401);
  published.areThere = false;
  assert.equal(await get(old), 503);
  assert.match(readFileSync(path.join(place, 'php-not-there.log'), 'utf8'), /the cache cannot be written/);
});
