// ENV-06, CRY-03: where each verifier gets its keys, and what it does while it cannot get them. Nothing but who asks is
// judged by a 401: while keys cannot be had it is a 503, and those that were had are believed for a while.
//
// The kit is copied with shorter times, so that none of this takes twenty minutes.
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { freePorts } from '../browser/ports.mjs';
import { place, stopAll } from '../portals/processes.mjs';
import { ask } from './ask.mjs';
import { authority, names } from './authority.mjs';

const local = (name) => fileURLToPath(new URL(name, import.meta.url));
const HEADER = 'X-Anteport-Assertion';
const ISSUER = 'https://members.example.org';
const [FRESH, PAUSE, LAST] = [2, 1, 20];

/** What is written in the kit, and what is put in its place. */
const TIMES = {
  'python/anteport_keys.py': [['FRESH = 300', `FRESH = ${FRESH}`], ['PAUSE = 10', `PAUSE = ${PAUSE}`], ['LAST = 1200', `LAST = ${LAST}`]],
  'ruby/anteport_keys.rb': [['FRESH = 300', `FRESH = ${FRESH}`], ['PAUSE = 10', `PAUSE = ${PAUSE}`], ['LAST = 1200', `LAST = ${LAST}`]],
  'java/AnteportKeys.java': [['FRESH = 300', `FRESH = ${FRESH}`], ['PAUSE = 10', `PAUSE = ${PAUSE}`], ['LAST = 1200', `LAST = ${LAST}`]],
  'php/anteport-keys.php': [['FRESH = 300', `FRESH = ${FRESH}`], ['PAUSE = 10', `PAUSE = ${PAUSE}`], ['LAST = 1200', `LAST = ${LAST}`]],
  'node/anteport-keys.js': [['300_000', `${FRESH}_000`], ['10_000', `${PAUSE}_000`], ['1_200_000', `${LAST}_000`]],
  'go/keys.go': [['5 * time.Minute', `${FRESH} * time.Second`], ['10 * time.Second', `${PAUSE} * time.Second`], ['20 * time.Minute', `${LAST} * time.Second`]],
  'nginx/anteport.js': [['LAST = 1200', `LAST = ${LAST}`], ['RENEWED = 90', `RENEWED = ${2 * PAUSE}`]],
  'nginx/anteport.conf': [['proxy_cache_valid 200 5m', `proxy_cache_valid 200 ${FRESH}s`], ['proxy_cache_valid any 10s', `proxy_cache_valid any ${PAUSE}s`]],
};

const tree = path.join(place, 'tree');
cpSync(local('../../deploy/verify'), path.join(tree, 'deploy/verify'), { recursive: true });
mkdirSync(path.join(tree, 'tests/verify'), { recursive: true });
cpSync(local('portals'), path.join(tree, 'tests/verify/portals'), { recursive: true });
symlinkSync(local('node_modules'), path.join(tree, 'tests/verify/node_modules'));
for (const [file, pairs] of Object.entries(TIMES)) {
  const name = path.join(tree, 'deploy/verify', file);
  let text = readFileSync(name, 'utf8');
  for (const [written, shorter] of pairs) {
    assert.equal(text.split(written).length, 2, `${file} has ${written} once`);
    text = text.replace(written, shorter);
  }
  writeFileSync(name, text);
}
process.env.VERIFY_TREE = tree;
const { build, LANGUAGES } = await import('./languages.mjs');

const first = await freePorts(5 * LANGUAGES.length + 4);
const [keyServer, elsewhere, resolver, behindNginx] = [0, 1, 2, 3].map((more) => first + more);
const portals = LANGUAGES.map((language, at) => ({ ...language, port: first + 4 + at }));
const keys = `https://localhost:${keyServer}/.auth/jwks.json`;

/** A key that somebody has made, as it is published, and an assertion that it signs now. */
function made(kid) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return {
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' },
    assertion() {
      const now = Math.floor(Date.now() / 1000);
      const claims = { iss: ISSUER, aud: ISSUER, sub: 'tenant.member', iat: now, exp: now + 60, sid: 's' };
      const message = `${part({ typ: 'JWT', alg: 'ES256', kid })}.${part(claims)}`;
      return `${message}.${sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
    },
  };
}

const [old, next, stranger] = [made('old'), made('next'), made('stranger')];
const set = (...of) => JSON.stringify({ keys: of.map(({ jwk }) => jwk) });

/** How the key server answers just now. */
const ways = {
  good: (answer) => answer.end(set(old)),
  both: (answer) => answer.end(set(old, next)),
  another: (answer) => answer.end(set(next)),
  empty: (answer) => answer.end('{"keys":[]}'),
  nonsense: (answer) => answer.end('{"keys":[null,"none",7,[],{}]}'),
  page: (answer) => answer.end('<h1>Back soon</h1>'),
  moved: (answer) => answer.writeHead(302, { location: `http://127.0.0.1:${elsewhere}/.auth/jwks.json` }).end(),
  broken: (answer) => answer.writeHead(500).end(set(old)),
  cut: (answer) => answer.destroy(),
};
let way = 'good';
let asked = 0;
let server;
/** A proxy, or whatever a redirect leads to: it would have everybody believe the stranger. */
let turned = 0;
const other = http.createServer((_, answer) => { turned += 1; answer.end(set(stranger, old)); });
other.on('connect', (_, socket) => { turned += 1; socket.end('HTTP/1.1 200 OK\r\n\r\n'); });
/** Where no TLS is, and not by one of the names that this machine has for itself. */
const open = http.createServer(other.listeners('request')[0]);
const simple = http.createServer((_, answer) => answer.end('{}'));
let socket;
let issued;

/** As an operator's machine may have it: verifiers have no use for it. */
const proxied = `http://127.0.0.1:${elsewhere}`;
for (const name of ['http_proxy', 'https_proxy', 'all_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY']) process.env[name] = proxied;
const java = ['http', 'https'].flatMap((kind) => [`-D${kind}.proxyHost=127.0.0.1`, `-D${kind}.proxyPort=${elsewhere}`]);
java.push('-Dhttp.nonProxyHosts=');
process.env.JAVA_TOOL_OPTIONS = java.join(' ');

const settings = { issuer: ISSUER, audience: ISSUER, keys, portal: `http://127.0.0.1:${behindNginx}`, resolver: `127.0.0.1:${resolver}` };
const direct = (port, value) => ask(`http://127.0.0.1:${port}/`, value === undefined ? [] : [[HEADER, value]]);
const each = (work) => Promise.all(portals.map(work));

before(async () => {
  issued = await authority('localhost');
  server = https.createServer(issued, (request, answer) => {
    asked += 1;
    assert.equal(request.url, '/.auth/jwks.json');
    // Or a cache on the way would answer with what it has.
    assert.equal(request.headers['cache-control'], 'no-cache', request.headers['user-agent']);
    ways[way](answer);
  }).listen(keyServer, '127.0.0.1');
  other.listen(elsewhere, '127.0.0.1');
  open.listen(elsewhere, '127.0.0.2');
  simple.listen(behindNginx, '127.0.0.1');
  socket = await names(resolver);
  await build();
});

after(async () => {
  await stopAll();
  for (const one of [server, other, open, simple]) {
    one.closeAllConnections();
    one.close();
  }
  socket.close();
});

const isLater = ({ status, text, headers }, name) => {
  assert.equal(status, 503, `${name}: ${text}`);
  assert.match(text, /^Please try again in a moment/, name);
  assert.match(headers['content-type'], /^text\/plain/, name);
  assert.equal(headers['cache-control'], 'no-store', name);
  assert.equal(headers['retry-after'], '10', name);
};

/** Asks again until it is so, as a verifier does after its pause. */
async function until(isSo, what = 'it') {
  const end = Date.now() + 45_000;
  while (!(await isSo())) {
    assert.ok(Date.now() < end, `${what}: it did not become so`);
    await new Promise((done) => { setTimeout(done, 250); });
  }
}

test('cry_03: keys by a certificate that nobody vouches for are none', async () => {
  const start = (portal, at) => portal.serve(String(portal.port + LANGUAGES.length), settings, `untrusted-${at}`);
  const children = await Promise.all(portals.map(start));
  await each(async ({ name, port }) => isLater(await direct(port + LANGUAGES.length, old.assertion()), name));
  assert.equal(asked, 0, 'nobody said what it wants to whoever has no good certificate');
  assert.ok(children.every(({ exitCode }) => exitCode === null));
});

/** How often a log has the sentence by which they are refused. */
function said(log) {
  const file = path.join(place, `${log}.log`);
  return existsSync(file) ? readFileSync(file, 'utf8').split(/come over https/).length : 1;
}

test('cry_03: keys that anybody on their way could change are asked for by nobody', async () => {
  const sources = [`http://127.0.0.2:${elsewhere}/`, `HTTP://127.0.0.2:${elsewhere}/`, `http://localhost:80@127.0.0.2:${elsewhere}/`];
  for (const [round, inTheOpen] of sources.entries()) {
    await each(async (portal) => {
      const at = portal.port + (2 + round) * LANGUAGES.length;
      const log = portal.name.startsWith('nginx') ? `open-${round}` : portal.log;
      const before = said(log);
      // Most do not start. Of the others, some have a server that does, and two hear what is set only with a request.
      const status = await portal.serve(String(at), { ...settings, keys: inTheOpen }, log)
        .then(() => direct(at, stranger.assertion())).then((answer) => answer.status, () => 'none');
      assert.ok(['none', 503, 404].includes(status), `${portal.name}: ${inTheOpen}: ${status}`);
      await until(() => said(log) > before, `${portal.name} says why, of ${inTheOpen}`);
    });
  }
  assert.equal(turned, 0, 'nobody asked there');
});

test('env_06: keys by a redirect, a proxy, an error or in nonsense are none, which is no fault of who asks', async () => {
  process.env.SSL_CERT_FILE = issued.file;
  process.env.NODE_EXTRA_CA_CERTS = issued.file;
  process.env.JAVA_TOOL_OPTIONS += ` -Djavax.net.ssl.trustStore=${issued.store} -Djavax.net.ssl.trustStorePassword=anything`;
  await each((portal) => portal.serve(String(portal.port), { ...settings, authorities: issued.file }));
  for (way of ['moved', 'nonsense', 'empty', 'page', 'broken', 'cut']) {
    const before = asked;
    await each(async ({ name, port }) => {
      // Nothing was said about who asks, so it is not a 401; and who says nothing still hears that.
      isLater(await direct(port, old.assertion()), `${name}: ${way}`);
      isLater(await direct(port, stranger.assertion()), `${name}: ${way}`);
      assert.equal((await direct(port)).status, 401, `${name}: ${way}`);
    });
    await until(async () => {
      await each(async ({ name, port }) => isLater(await direct(port, old.assertion()), `${name}: ${way}`));
      return asked >= before + portals.length;
    });
  }
  assert.equal(turned, 0, 'nobody went elsewhere');
});

test('env_06: keys over TLS, by the name in the certificate, are found', async () => {
  way = 'good';
  await each(({ name, port }) => until(async () => {
    const { status, text } = await direct(port, old.assertion());
    if (status !== 503) assert.equal(status, 200, `${name}: ${text}`);
    return status === 200;
  }));
  await each(async ({ name, port }) => assert.equal((await direct(port, stranger.assertion())).status, 401, name));
});

/** nginx keeps what it was answered, whatever it says: only what is an error leaves it with its copy, as the README says. */
const mayTurnAway = (name, bad) => name.startsWith('nginx') && !['broken', 'cut'].includes(bad);

test('env_06: one bad answer turns nobody away', async () => {
  for (const bad of ['broken', 'cut', 'page', 'empty', 'moved']) {
    way = bad;
    const before = asked;
    // Until each has met the bad answer, those whose key is known hear nothing of it.
    await until(async () => {
      await each(async ({ name, port }) => {
        const [unknown, known] = await Promise.all([direct(port, stranger.assertion()), direct(port, old.assertion())]);
        assert.notEqual(unknown.status, 200, `${name}: ${way}`);
        if (mayTurnAway(name, bad) && known.status !== 200) isLater(known, `${name}: ${way}`);
        else assert.equal(known.status, 200, `${name}: ${way}: ${known.text}`);
      });
      return asked >= before + portals.length;
    });
    way = 'good';
    await until(async () => {
      const answers = await each(({ port }) => direct(port, old.assertion()));
      answers.forEach(({ status }, at) => assert.ok(status === 200 || mayTurnAway(portals[at].name, bad), portals[at].name));
      return asked >= before + 2 * portals.length && answers.every(({ status }) => status === 200);
    });
  }
  assert.equal(turned, 0, 'nobody went elsewhere');
});

test('env_06: a key that was never seen, while keys cannot be had, is no refusal, and then it is found', async () => {
  way = 'cut';
  await each(({ name, port }) => until(async () => {
    const { status } = await direct(port, next.assertion());
    assert.ok(status === 503 || status === 401, `${name}: ${status}`);
    return status === 503;
  }));
  way = 'both';
  await each(({ port }) => until(async () => (await direct(port, next.assertion())).status === 200));
  await each(async ({ name, port }) => assert.equal((await direct(port, old.assertion())).status, 200, name));
});

test('env_06: a key that was withdrawn is not believed for long', async () => {
  way = 'another';
  await each(({ port }) => until(async () => (await direct(port, old.assertion())).status === 401));
  await each(async ({ name, port }) => assert.equal((await direct(port, next.assertion())).status, 200, name));
});

test('env_06: keys that cannot be renewed are believed for a while, and no longer', async () => {
  way = 'broken';
  const begun = Date.now();
  await each(({ name, port }) => until(async () => {
    const { status, text } = await direct(port, next.assertion());
    if (status !== 503) assert.equal(status, 200, `${name}: ${text}`);
    if (status === 503) assert.ok(Date.now() - begun > (LAST - FRESH - 3) * 1000, `${name} after ${Date.now() - begun} ms`);
    return status === 503;
  }));
  assert.ok(Date.now() - begun < (LAST + 30) * 1000);
  way = 'another';
  await each(({ port }) => until(async () => (await direct(port, next.assertion())).status === 200));
});
