// What has to hold behind every server that asks (VER-01, VER-02): the same tests for each.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import { stopAll } from '../portals/processes.mjs';
import { World, echoed } from './world.mjs';
import { CALL, HOST, PAGE, ask, raw } from './wire.mjs';

const OURS = /__Host-anteport/;
const DEEP = '/reports?year=2026&q=a%20b%2Fc&r=%E4%BD%A0&s=x+y&t=%2e%2e&empty=&u';
const form = (body) => ({ method: 'POST', body, headers: [...PAGE, ['Content-Type', 'application/x-www-form-urlencoded']] });

const GRPC = { ':status': 200, 'content-type': 'application/grpc' };
const told = (message) => Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
const GRPC_NONSENSE = {
  'a page': (stream) => { stream.respond({ ':status': 200, 'content-type': 'text/html' }); stream.end('Yes'); },
  'a broken day': (stream) => { stream.respond({ ':status': 500 }); stream.end(); },
  'an error': (stream) => { stream.respond({ ...GRPC, 'grpc-status': '13' }); stream.end(); },
  'no message': (stream) => { stream.respond({ ...GRPC, 'grpc-status': '0' }); stream.end(); },
  'no end of a message': (stream) => { stream.respond(GRPC); stream.end(Buffer.from([0, 0, 0, 1, 0, 1])); },
  'another message': (stream) => {
    stream.respond(GRPC, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(told(Buffer.from('Yes, they may')));
  },
  'a status of no meaning': (stream) => {
    stream.respond(GRPC, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(told(Buffer.from([0x0a, 2, 0x08, 99])));
  },
};

/** A request of a connection over HTTP/2, and its answer. */
const over = (session, headers, body) => new Promise((resolve) => {
  const stream = session.request(headers);
  let [status, html] = ['reset', ''];
  stream.setEncoding('utf8');
  stream.on('response', (told) => { status = told[':status']; });
  stream.on('data', (piece) => { html += piece; });
  stream.on('error', () => {});
  stream.on('close', () => resolve({ status, html }));
  stream.end(body);
});

/** What those who tidy paths up make of them alike; nothing of what is refused. */
const TIDIED = { '//reports': '/reports', '/./reports': '/reports', '/x/../reports': '/reports', '/x/%2e%2e/reports': '/reports',
  '/%2e/reports': '/reports', '/reports/..': '/', '/a//b/': '/a/b/', '/r%65ports': '/reports', '/%41bc': '/Abc', '/a%7eb': '/a~b',
  '/a|b': '/a%7Cb', '/reports?': '/reports?', '/reports?a=%zz|//../b': '/reports?a=%zz|//../b', '/a;b': '', '/a%2fb': '', '/a%5cb': '',
  '/a%25b': '', '/a%3bb': '', '/a%3fb': '', '/a%23b': '', '/a%00b': '', '/a%zz': '', '/a#b': '' };

/** `front`: name, description or asks, start; places that are for its own questions alone (`inside`), what else becomes of
    a door's spelling where paths are tidied up before anybody is asked (`tidies`), and of paths (`makes`), how long it waits
    for an answer (`patience`), whether it speaks HTTP/2 (`http2`) and hands on a session that is renewed (`renews`). */
export function holds(front) {
  let world;
  let cookie;
  const { name } = front;

  before(async () => {
    world = await World.start(front);
    ({ cookie } = await world.signIn());
  });
  beforeEach(() => world.arrived());
  after(async () => {
    world?.stop();
    await stopAll();
  });

  const as = (who, target, options = {}) => ask(world.port, target, { ...options, cookie: who });
  const nobodyGets = () => assert.deepEqual(world.arrived(), []);

  test(`${name}: a stranger signs in and is back at the deep link, with its query as it was`, async () => {
    const { browser, page } = await world.signIn(DEEP);
    assert.equal(page.url, world.origin + DEEP);
    assert.equal(page.status, 200, page.html);
    const got = echoed(page);
    assert.equal(got.url, DEEP, 'PATH-19');
    assert.equal(got.like('x-auth-email')[0], world.member);
    const again = echoed(await browser.ask(world.origin + DEEP));
    assert.equal(again.url, DEEP);
    world.arrived();
  });

  test(`${name}: a member reaches the portal with identity headers and without cookies of ours`, async () => {
    const alone = echoed(await as(cookie, '/reports'));
    assert.deepEqual(alone.like('cookie'), [], 'COOK-01');
    const got = echoed(await as(`theme=dark; ${cookie}; lang=en`, '/reports'));
    assert.equal(got.like('cookie').join('|'), 'theme=dark; lang=en', 'COOK-01');
    for (const one of ['x-auth-user', 'x-auth-email', 'x-anteport-assertion']) assert.equal(got.like(one).length, 1, one);
    const claims = JSON.parse(Buffer.from(got.like('x-anteport-assertion')[0].split('.')[1], 'base64url'));
    assert.equal(claims.aud, world.origin);
    assert.equal(got.like('x-forwarded-proto')[0], 'https');
    assert.doesNotMatch(JSON.stringify(got), OURS);
    // Of everybody's page nobody is told.
    const open = echoed(await as(undefined, '/public/x'));
    for (const one of ['x-auth-user', 'x-auth-email', 'x-auth-roles', 'x-anteport-assertion', 'cookie']) {
      assert.deepEqual(open.like(one), [], one);
    }
    world.arrived();
  });

  test(`${name}: strangers, background calls and cookies that are none of ours get nowhere`, async () => {
    assert.equal((await as(undefined, '/reports')).status, 303);
    assert.equal((await as(undefined, '/reports', { headers: CALL })).status, 401);
    assert.equal((await as(undefined, '/reports', { ...form('a=b') })).status, 401);
    assert.equal((await as('__Host-anteport=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', '/reports', { headers: CALL })).status, 401);
    nobodyGets();
  });

  test(`${name}: who is there is asked about for each request of a connection (GEN-05)`, async () => {
    const of = (who, target, more = '') => `GET ${target} HTTP/1.1\r\nHost: ${HOST}:${world.port}\r\n`
      + `X-Requested-With: XMLHttpRequest\r\n${who ? `Cookie: ${who}\r\n` : ''}${more}\r\n`;
    for (const end of [of(undefined, '/reports', 'Connection: close\r\n'), of(undefined, '/public/x', 'Connection: close\r\n')]) {
      const answers = await raw(world.port, of(cookie, '/reports?first') + of(undefined, '/public/y') + of(cookie, '/reports?third') + end, {
        enough: (text) => text.split(/HTTP\/1\.1 \d/).length === 5 && text.endsWith('\r\n\r\n'),
      });
      assert.equal(answers.split(/HTTP\/1\.1 \d/).length, 5, answers);
      for (const one of world.arrived()) {
        const is_told = one.headers.some((header) => /^x-auth-user$/i.test(header));
        assert.equal(is_told, one.url.startsWith('/reports?'), one.url);
      }
      assert.equal(/HTTP\/1\.1 401/.test(answers), end.includes('/reports'));
    }
  });

  test(`${name}: forged identity headers do not arrive in any spelling (HDR-02, HDR-03)`, async () => {
    for (const forged of ['X-Auth-User', 'x-auth-user', 'X_Auth_User', 'X-Auth_User', 'XAuthUser', 'X--Auth-User', 'X-Auth-Email',
      'X-Auth-Roles', 'X-Anteport-Assertion', 'X_Anteport_Assertion', 'X-Auth.User']) {
      for (const [who, target] of [[undefined, '/public/x'], [cookie, '/reports'], [cookie, '/public/x']]) {
        const headers = [...PAGE, [forged, 'mallory'], [forged, 'mallory']];
        const page = await as(who, target, { headers });
        assert.ok([200, 400, 403].includes(page.status), `${forged}: ${page.status}`);
        for (const got of world.arrived()) assert.doesNotMatch(JSON.stringify(got), /mallory/, forged);
        // Named as of one connection only, ours are not lost.
        const dropped = await as(who, target, { headers: [...PAGE, ['Connection', forged], ['Connection', `close, ${forged}`]] });
        if (who && target === '/reports' && dropped.status === 200) {
          assert.equal(echoed(dropped).like('x-auth-user').length, 1, forged);
        }
        world.arrived();
      }
    }
  });

  test(`${name}: a visitor who describes a request is not believed (VER-01)`, async () => {
    const open = `${world.origin}/public/x`;
    const families = [
      [['X-Forwarded-Uri', '/public/x'], ['X-Forwarded-Method', 'GET'], ['X-Forwarded-Proto', 'https'], ['X-Forwarded-Host', HOST]],
      [['X-Original-URL', open], ['X-Original-Method', 'GET'], ['X-Original-URI', '/public/x']],
      [['X_Forwarded_Uri', '/public/x'], ['X_Original_URL', open]],
      [['X-Rewrite-URL', '/public/x'], ['X-HTTP-Method-Override', 'GET'], ['X-Envoy-Original-Path', '/public/x'], ['Forwarded', 'for=10.0.0.1']],
    ];
    for (const family of [...families, families.flat()]) {
      for (const lies of [family, [...family, ...family], [...family, ['Connection', family.map(([header]) => header).join(', ')]]]) {
        const headers = [...CALL, ...lies];
        const page = await as(undefined, '/reports', { headers });
        assert.ok(page.status >= 400 && page.status < 500, `${JSON.stringify(lies)}: ${page.status} ${page.html}`);
        nobodyGets();
        const login = await as(cookie, '/login', { method: 'POST', body: 'a=b', headers });
        assert.ok([400, 403].includes(login.status), `${JSON.stringify(lies)}: ${login.status}`);
        nobodyGets();
        // What names another address or method to a portal (PATH-14).
        await as(cookie, '/reports', { headers: [...PAGE, ...lies] });
        for (const got of world.arrived()) {
          assert.doesNotMatch(JSON.stringify(got), /public/, JSON.stringify(lies));
        }
      }
    }
  });

  test(`${name}: no visitor asks at /.auth/verify (VER-01)`, async () => {
    const described = [['X-Forwarded-Uri', '/reports'], ['X-Forwarded-Method', 'GET'], ['X-Forwarded-Proto', 'https'],
      ['X-Forwarded-Host', `${HOST}:${world.port}`], ['X-Original-URL', `${world.origin}/reports`], ['X-Original-Method', 'GET']];
    const seen = [];
    // For who tidies them up, they are another place.
    const elsewhere = ['/.auth/verify/../me', '/.auth/verify/x/../../me', '/.auth/verify/../../reports'];
    for (const target of ['/.auth/verify', '/.auth/verify/', '/.auth/verify?x', '/.auth/verify/reports', '/.auth/verif%79', '/%2eauth/verify',
      '/%2Eauth/%76erify/reports', '//.auth/verify', '/.auth//verify', '/.auth/./verify', '/x/../.auth/verify', '/.auth/verify/../verify',
      '/.auth/%2e/verify', '/.auth/x/%2e%2e/verify/reports', ...elsewhere,
      '/.auth%2fverify', '/.auth/verify;x', '/.auth;x/verify', '/.AUTH/verify', '/.auth/VERIFY', '/.auth\\verify', ...(front.inside ?? []),
      `${world.origin}/.auth/verify`, `http://${HOST}/.auth/verify/reports`, '*', '.auth/verify', '/.auth/verify#x', '/.auth/verify%00']) {
      for (const headers of [[...PAGE, ...described], PAGE, [...PAGE, ...described, ...described]]) {
        for (const method of ['GET', 'POST']) {
          const page = await as(cookie, target, { headers, method });
          for (const one of ['x-anteport-assertion', 'x-auth-user', 'cookie']) {
            assert.equal(page.header(one), undefined, `${method} ${target} shows ${one}`);
          }
          if (!front.tidies || !elsewhere.includes(target)) seen.push(page.status);
        }
      }
    }
    assert.ok(!seen.includes(200), String(seen));
    for (const { url } of world.arrived()) assert.equal(front.tidies && url, '/reports');
  });

  test(`${name}: the portal's own password door stays closed in every spelling (PATH-15, PATH-20)`, async () => {
    for (const target of ['/login', '/LOGIN', '/Login/', '/login/', '/login.', '/log%69n', '/%6cogin', '/login?x=1', '/./login', '//login',
      '/x/../login', '/x/%2e%2e/login', '/%2e/login', '/login%2f', '/%2flogin', '/login;x', '/login;x=1/', '/x;/../login', '/login%20',
      '/login%00', '/login%3fx', '/log\\..\\in', '/%6c%6f%67%69%6e', '/login//', '/./././login', '/reports/..%2flogin', '/%256cogin',
      `${world.origin}/login`, `http://${HOST}/login`, 'login']) {
      const page = await as(cookie, target, form('user=a&password=b'));
      // Tidied up first, it is no door; and so it arrives.
      const other = front.tidies?.[target];
      assert.ok(other || (page.status >= 400 && page.status < 500), `${target}: ${page.status} ${page.html}`);
      assert.deepEqual(world.arrived().map(({ url }) => url), other ? [other] : [], target);
    }
    // By its query, however that is written (PATH-12).
    for (const query of ['task=sign_in', 'x=1;task=sign_in', 'task=comment&task=sign_in', 'task[]=sign_in', 'ta%73k=sign_in', 'task=sign%5Fin',
      ';task=sign_in', 'x=1&;task=sign_in;']) {
      const page = await as(cookie, `/index.php?${query}`, { method: 'POST', body: '' });
      assert.ok(page.status >= 400 && page.status < 500, `${query}: ${page.status} ${page.html}`);
      nobodyGets();
    }
    assert.equal((await as(cookie, '/index.php?task=comment', { method: 'POST', body: '' })).status, 200);
    world.arrived();
    // Nor is another page another one to the portal: what was judged is what arrives (GEN-01).
    for (const target of ['//reports', '/./reports', '/x/../reports', '/x/%2e%2e/reports', '/a%2fb', '/reports;x', '/public/../reports',
      '/public/%2e%2e/reports', '/public/..%2freports', '/public//reports', '/public/..;/reports', '/public%2f..%2freports']) {
      const page = await as(undefined, target, { headers: CALL });
      const other = front.tidies?.[target];
      assert.ok(other || (page.status >= 400 && page.status < 500), `${target}: ${page.status}`);
      assert.deepEqual(world.arrived().map(({ url }) => url), other ? [other] : [], target);
    }
    // Byte by byte as it was asked for, and so as it was described.
    for (const target of ['/reports/%C3%A9t%C3%A9?x=%65', '/~user/a+b,c@d/x:y', "/it's/(1)/!*$&=?q=%2e%2e/&r=?//"]) {
      const page = await as(cookie, target);
      assert.equal(page.status, 200, `${target}: ${page.html}`);
      assert.equal(echoed(page).url, target);
    }
    world.arrived();
    // What is not written as it was judged arrives as it was judged, or is asked for so first.
    const other = await as(cookie, '/r%65ports?x=%65');
    if (other.status === 308) assert.equal(new URL(other.header('location')).pathname, '/reports');
    else assert.equal(echoed(other).url, '/reports?x=%65');
    world.arrived();
  });

  if (front.makes) {
    test(`${name}: what it makes of paths is asked about, and sent on (GEN-01)`, async () => {
      for (const [target, arrives] of Object.entries({ ...TIDIED, ...front.makes })) {
        const page = await as(cookie, target);
        assert.equal(page.status, arrives ? 200 : 400, `${target}: ${page.status} ${page.html}`);
        assert.deepEqual(world.arrived().map(({ url }) => url), arrives ? [arrives] : [], target);
      }
    });
  }

  test(`${name}: a form that a rule looks into is read, or does not pass (PATH-12)`, async () => {
    const signIn = await as(cookie, '/entry', form('task=sign_in&password=b'));
    assert.equal(signIn.status, 403, signIn.html);
    nobodyGets();
    const other = await as(cookie, '/entry', form('task=comment'));
    const reads = front.description === 'x_original' || front.asks;
    assert.equal(other.status, reads ? 200 : 403, other.html);
    assert.equal(world.arrived().length, reads ? 1 : 0);
    if (reads) assert.equal(echoed(other).length, 'task=comment'.length);
    // Nor by its size, nor because nobody says how long it is.
    const long = await as(cookie, '/entry', form(`x=${'y'.repeat(70_000)}&task=sign_in`));
    assert.ok(long.status >= 400 && long.status < 500, `${long.status}`);
    nobodyGets();
    const head = `POST /entry HTTP/1.1\r\nHost: ${HOST}:${world.port}\r\nCookie: ${cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\n`;
    for (const chunks of [['task=sign_in'], ['ta', 'sk=sign_in&a=b'], ['x=y&'.repeat(20_000), 'task=sign_in']]) {
      const body = chunks.map((one) => `${one.length.toString(16)}\r\n${one}\r\n`).join('');
      const asked = `${head}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n${body}0\r\n\r\n`;
      const answer = await raw(world.port, asked, { enough: (text) => text.includes('\r\n\r\n') });
      assert.match(answer, /^HTTP\/1\.1 4/);
      nobodyGets();
    }
  });

  test(`${name}: what a visitor says of a connection does not arrive (FWD-01)`, async () => {
    const said = [['X-Forwarded-For', '203.0.113.66'], ['X-Forwarded-Host', 'evil.example'], ['X-Forwarded-Proto', 'gopher'],
      ['X-Forwarded-Port', '666'], ['X-Forwarded-Server', 'evil.example'], ['X-Forwarded-Prefix', '/evil'], ['X-Real-IP', '203.0.113.66'],
      ['Forwarded', 'for=203.0.113.66;host=evil.example;proto=gopher'], ['X-Client-IP', '203.0.113.66'], ['True-Client-IP', '203.0.113.66'],
      ['X-Cluster-Client-IP', '203.0.113.66'], ['X-Forwarded-Scheme', 'gopher'], ['X-Envoy-External-Address', '203.0.113.66'],
      ['X_Forwarded_For', '203.0.113.66'], ['X.Forwarded.Host', 'evil.example']];
    for (const one of said) {
      for (const [who, target] of [[cookie, '/reports'], [undefined, '/public/x']]) {
        for (const headers of [[one], [one, one], [one, ['Connection', one[0]]]]) {
          const page = await as(who, target, { headers: [...PAGE, ...headers] });
          assert.ok([200, 400, 403].includes(page.status), `${one}: ${page.status}`);
          const arrived = JSON.stringify(world.arrived());
          assert.doesNotMatch(arrived, /203\.0\.113\.66|evil|gopher|"666"/, String(one));
        }
      }
    }
    // Nor does Anteport take one for another place to come back to.
    for (const one of said) {
      const page = await as(undefined, '/reports', { headers: [...PAGE, one] });
      assert.doesNotMatch(page.header('location') ?? '', /evil|gopher/, String(one));
    }
    nobodyGets();
  });

  test(`${name}: large headers arrive whole or not at all (LIM-01)`, async () => {
    for (const [size, must] of [[5000, [200]], [7000, [200, 400, 431]], [30_000, [200, 400, 403, 413, 431]], [40_000, [400, 403, 413, 431]],
      // Apache counts fields one by one, and hears no answer from Anteport to so many.
      [80_000, [400, 403, 413, 431, 503]]]) {
      for (const many of [1, 8]) {
        const large = Array.from({ length: many }, (_, at) => [`X-Large-${at}`, 'x'.repeat(size / many)]);
        const page = await as(cookie, '/reports', { headers: [...PAGE, ...large] });
        assert.ok(must.includes(page.status), `${size} in ${many}: ${page.status} ${page.html}`);
        const [arrived] = world.arrived();
        assert.equal(Boolean(arrived), page.status === 200);
        if (arrived) assert.equal(JSON.stringify(arrived.headers).split('x').length > size, true, `${size} in ${many}`);
      }
    }
    // Cookies are one long line, and all of them come back in the head of Anteport's answer; what a stranger asked for does so too.
    for (const size of [3500, 6000, 11_000]) {
      const page = await as(undefined, '/reports', { headers: [...PAGE, ['Cookie', `${cookie}; a=${'x'.repeat(size)}`]] });
      assert.equal(page.status, 200, `a cookie of ${size}: ${page.html}`);
      const [arrived] = world.arrived();
      assert.ok(JSON.stringify(arrived.headers).includes('x'.repeat(size)), `a cookie of ${size}`);
    }
    const stranger = await as(undefined, `/reports?x=${'x'.repeat(1900)}`);
    assert.ok([302, 303].includes(stranger.status), `${stranger.status} ${stranger.html}`);
    const fields = Array.from({ length: 120 }, (_, at) => [`X-Field-${at}`, 'x']);
    for (const [target, headers] of [['/reports', [...PAGE, ...fields]], [`/reports?${'x'.repeat(9000)}`, PAGE]]) {
      const page = await as(cookie, target, { headers });
      assert.ok(page.status >= 400 && page.status <= 500, `${page.status}`);
      nobodyGets();
    }
    assert.equal((await as(cookie, '/reports')).status, 200);
    world.arrived();
  });

  test(`${name}: credentials of the portal's own do not pass (PATH-15)`, async () => {
    for (const value of ['Basic dTpw', 'basic dTpw', 'Bearer x', 'Negotiate x']) {
      for (const [who, target] of [[cookie, '/reports'], [undefined, '/public/x']]) {
        const page = await as(who, target, { headers: [...PAGE, ['Authorization', value]] });
        assert.ok([200, 400, 403].includes(page.status), `${page.status}`);
        for (const got of world.arrived()) assert.doesNotMatch(JSON.stringify(got), /dTpw|Bearer|Negotiate/);
      }
      const stranger = await as(undefined, '/reports', { headers: [...CALL, ['Authorization', value]] });
      assert.ok([401, 403].includes(stranger.status));
      nobodyGets();
    }
    assert.equal((await as(cookie, '/reports')).header('www-authenticate'), undefined);
    world.arrived();
  });

  test(`${name}: uploads and WebSockets pass`, async () => {
    const body = 'x'.repeat(3 * 1024 * 1024);
    const upload = await as(cookie, '/upload', { method: 'POST', body, headers: [...PAGE, ['Content-Type', 'application/octet-stream']] });
    assert.equal(upload.status, 200, upload.html);
    const got = echoed(upload);
    assert.equal(got.length, body.length);
    assert.equal(got.method, 'POST');
    for (const method of ['HEAD', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await as(cookie, '/reports', { method });
      assert.equal(answer.status, 200, method);
      assert.equal(world.arrived().at(-1).method, method);
    }
    const upgrade = (who) =>
      `GET /socket HTTP/1.1\r\nHost: ${HOST}:${world.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: ${world.origin}\r\n`
      + `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${who ? `Cookie: ${who}\r\n` : ''}\r\n`;
    const opened = await raw(world.port, upgrade(cookie), { enough: (text) => text.includes('hello') });
    assert.match(opened, /^HTTP\/1\.1 101 /);
    const [reached] = world.arrived();
    assert.match(JSON.stringify(reached), /X-Auth-User/i);
    assert.doesNotMatch(JSON.stringify(reached), OURS);
    // On another route it does not, and nothing else is upgraded to anywhere (HTTP-08).
    for (const asked of [upgrade(cookie).replace('/socket', '/reports'), upgrade(cookie).replace('websocket', 'h2c')]) {
      const answer = await raw(world.port, asked, { enough: (text) => text.includes('\r\n\r\n') });
      assert.match(answer, /^HTTP\/1\.1 [2-4]/);
      assert.doesNotMatch(JSON.stringify(world.arrived()), /h2c|101/);
    }
    // However somebody asks for something else, or for a WebSocket that does not look like one.
    const h2c = 'Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n';
    for (const [to, lines] of [
      ['h2c', `Upgrade: h2c\r\n${h2c}`],
      ['h2c beside it', `Upgrade: websocket, h2c\r\n${h2c}`],
      ['h2c after it', `Upgrade: websocket\r\nUpgrade: h2c\r\n${h2c}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`],
      ['h2c before it', `Upgrade: h2c\r\nUpgrade: websocket\r\n${h2c}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`],
      ['TLS', 'Upgrade: TLS/1.2\r\nConnection: Upgrade\r\n'],
      ['something', 'Upgrade: foo\r\nConnection: uPgRaDe\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'],
      ['no key', 'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'],
      ['a key of this connection', 'Upgrade: websocket\r\nConnection: Upgrade, Sec-WebSocket-Key\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'],
    ]) {
      for (const [who, target] of [[cookie, '/reports'], [cookie, '/socket'], [undefined, '/public/x']]) {
        if (target === '/socket' && to.includes('key')) continue;
        const asked = `GET ${target} HTTP/1.1\r\nHost: ${HOST}:${world.port}\r\n${lines}${who ? `Cookie: ${who}\r\n` : ''}\r\n`;
        const answer = await raw(world.port, asked, { enough: (text) => text.includes('\r\n\r\n') });
        const all = world.arrived().flatMap(({ headers }) => headers.filter((_, at) => at % 2 && /^upgrade$/i.test(headers[at - 1])));
        // What is left of it may be a WebSocket, where one may be.
        if (/^HTTP\/1\.1 101 /.test(answer)) {
          assert.deepEqual([target, all], ['/socket', ['websocket']], `${to}: ${answer}`);
        } else {
          assert.match(answer, /^HTTP\/1\.1 [2-4]/, `${to} at ${target}: ${answer}`);
          assert.deepEqual(all, [], `${to} at ${target}`);
        }
      }
    }
    const refused = await raw(world.port, upgrade(), { enough: (text) => text.includes('\r\n\r\n') });
    assert.match(refused, /^HTTP\/1\.1 (401|403) /);
    nobodyGets();
  });

  if (front.http2) {
    test(`${name}: over HTTP/2 nobody gets further`, async () => {
      let session;
      // Some give a connection up by which a name with an underscore came.
      const open = () => {
        session = http2.connect(`https://127.0.0.1:${world.port}`, { servername: HOST, rejectUnauthorized: false });
        session.on('error', () => {});
      };
      const asks = (path, headers = {}, body) => {
        if (!session || session.closed || session.destroyed) open();
        return over(session, { ':authority': `${HOST}:${world.port}`, ':path': path, ...Object.fromEntries(PAGE), ...headers }, body);
      };
      try {
        // A browser's cookies come in crumbs.
        const crumbs = { cookie: ['theme=dark', cookie, 'lang=en'] };
        const page = await asks('/reports?a=%20b', crumbs);
        assert.equal(page.status, 200, page.html);
        assert.equal(session.alpnProtocol, 'h2');
        const got = echoed(page);
        assert.equal(got.url, '/reports?a=%20b');
        assert.equal(got.like('cookie').join('; '), 'theme=dark; lang=en', 'COOK-01');
        assert.equal(got.like('x-auth-email')[0], world.member);
        world.arrived();
        assert.equal((await asks('/reports')).status, 303);
        assert.equal((await asks('/reports', { 'x-requested-with': 'XMLHttpRequest' })).status, 401);
        nobodyGets();
        for (const path of ['/login', '/LOGIN/', '/log%69n', '//login', '/x/../login', '/login;x', '/./login']) {
          const door = await asks(path, { ...crumbs, ':method': 'POST', 'content-type': 'application/x-www-form-urlencoded' }, 'user=a&password=b');
          assert.ok(door.status >= 400 && door.status < 500, `${path}: ${door.status}`);
          nobodyGets();
        }
        for (const forged of ['x-auth-user', 'x_auth_user', 'x-authuser', 'x-anteport-assertion', 'x-forwarded-uri', 'x-original-url']) {
          for (const [who, path] of [[crumbs, '/reports'], [{}, '/public/x']]) {
            const answer = await asks(path, { ...who, [forged]: 'mallory' });
            assert.ok(['reset', 200, 400, 403].includes(answer.status), `${forged}: ${answer.status}`);
            assert.doesNotMatch(JSON.stringify(world.arrived()), /mallory/, forged);
          }
        }
        assert.ok((await asks('/.auth/verify/reports', crumbs)).status >= 400);
        for (const authority of ['elsewhere.example', `${HOST}.elsewhere.example:${world.port}`, `a@${HOST}:${world.port}`]) {
          assert.notEqual((await asks('/reports', { ...crumbs, ':authority': authority })).status, 200, authority);
        }
        assert.equal((await asks('/reports', crumbs)).status, 200, 'it is still there');
        world.arrived();
        // A WebSocket comes over HTTP/1.1 alone (HTTP-08).
        assert.ok(!session.remoteSettings.enableConnectProtocol);
        assert.notEqual((await asks('/reports', { ...crumbs, ':method': 'CONNECT', ':scheme': undefined, ':path': undefined })).status, 200);
        nobodyGets();
      } finally {
        session?.destroy();
      }
    });
  }

  test(`${name}: sign-out ends it`, async () => {
    const { browser, cookie: copy } = await world.signIn();
    assert.equal((await as(copy, '/reports')).status, 200);
    const out = [...PAGE.slice(0, 3), ['Sec-Fetch-Site', 'same-origin']];
    const answer = await as(browser.cookies(world.origin), '/.auth/logout', { headers: out });
    assert.ok([302, 303].includes(answer.status), `${answer.status}`);
    world.arrived();
    assert.equal((await as(copy, '/reports', { headers: CALL })).status, 401);
    nobodyGets();
  });

  test(`${name}: with Anteport stopped, silent or talking nonsense, nobody gets to the portal (GEN-02)`, async () => {
    const all = [[cookie, '/reports'], [undefined, '/public/x'], [undefined, '/.auth/me'], [cookie, '/login']];
    const allFail = async (what, least = 500) => {
      for (const [who, target] of all) {
        const page = await as(who, target);
        // What is not asked about is Anteport's own answer, whatever somebody in its place says.
        const is_own = target.startsWith('/.auth/') && what !== 'stopped' && !front.asks;
        assert.ok(is_own || (page.status >= least && page.status < 600), `${what}: ${target}: ${page.status}`);
        assert.doesNotMatch(page.html, /"method"/);
      }
      nobodyGets();
    };
    /** Somebody answers where Anteport is asked. */
    const inPlace = async (server, connected, then) => {
      const all = new Set();
      server.on(connected, (one) => { all.add(one); one.on('error', () => {}); });
      await new Promise((done) => { server.listen(front.asks ? world.grpc : world.anteport, '127.0.0.1', done); });
      try {
        await then();
      } finally {
        for (const one of all) one.destroy();
        await new Promise((done) => { server.close(done); });
      }
    };
    await world.pause();
    await allFail('stopped');
    for (const [what, says] of Object.entries({
      nonsense: 'ANTEPORT SAYS YES\r\n\r\n',
      'half an answer': 'HTTP/1.1 200 OK\r\nX-Auth-Us',
      'an end': '',
      'a broken day': 'HTTP/1.1 500 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
      nothing: null,
    })) {
      const false_one = net.createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', () => says !== null && socket.end(says));
      });
      await inPlace(false_one, 'connection', async () => {
        // Silence takes as long as the question may; one request says it. Own pages may take longer.
        if (says !== null) return allFail(what);
        const page = await as(cookie, '/reports', { patience: front.patience });
        assert.ok(page.status >= 500 && page.status < 600, `${what}: ${page.status}`);
        return nobodyGets();
      });
    }
    // Over HTTP/2, which other nonsense is not. What can be read is a no.
    for (const [what, says] of Object.entries(front.asks ? GRPC_NONSENSE : {})) {
      const false_one = http2.createServer();
      false_one.on('stream', (stream) => { stream.on('error', () => {}); says(stream); });
      await inPlace(false_one, 'session', () => allFail(what, 400));
    }
    await world.resume();
    // Some wait a moment before they try a server again that was not there.
    for (let patience = 0; patience < 100; patience += 1) {
      if ((await as(undefined, '/public/x')).status === 200) break;
      await new Promise((done) => { setTimeout(done, 200); });
    }
    const { page } = await world.signIn();
    assert.equal(echoed(page).like('x-auth-email')[0], world.member);
  });

  if (front.renews) {
    test(`${name}: a session that is renewed gets to the browser, beside the portal's cookies`, async () => {
      await world.pause();
      const key = path.join(world.folder, 'session_key');
      writeFileSync(key, randomBytes(32).toString('base64'), { mode: 0o600 });
      await world.resume(`"sessions": { "store": "cookie", "idle_timeout": "10s", "keys": [{ "file": "${key}" }] },`);
      const { cookie: earlier } = await world.signIn('/sets');
      // It grows old in a tenth of the time that somebody may be away.
      let page;
      const is_renewed = () => page.all('set-cookie').some((one) => OURS.test(one));
      for (const end = Date.now() + 9000; Date.now() < end;) {
        page = await as(earlier, '/sets');
        assert.equal(page.status, 200, page.html);
        if (is_renewed()) break;
      }
      const [told] = world.arrived().slice(-1);
      assert.doesNotMatch(JSON.stringify(told), OURS);
      const set = page.all('set-cookie');
      const ours = set.filter((one) => OURS.test(one));
      assert.equal(ours.length, 1, JSON.stringify(set));
      assert.match(ours[0], /^__Host-anteport=[^;]{50,};/);
      for (const one of ['HttpOnly', 'SameSite=Lax', 'Secure', 'Path=/']) assert.ok(ours[0].split('; ').includes(one), one);
      assert.deepEqual(set.filter((one) => !OURS.test(one)), ['theme=dark; Path=/', 'lang=en; Path=/; HttpOnly']);
      const renewed = ours[0].split(';')[0];
      assert.notEqual(renewed, earlier);
      assert.equal((await as(renewed, '/sets')).status, 200);
      world.arrived();
    });
  }
}
