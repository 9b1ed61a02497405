// What has to hold behind every server that asks (VER-01, VER-02): the same tests for each.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, beforeEach, test } from 'node:test';

import { stopAll } from '../portals/processes.mjs';
import { World, echoed } from './world.mjs';
import { CALL, HOST, PAGE, ask, raw } from './wire.mjs';

const OURS = /__Host-anteport/;
const DEEP = '/reports?year=2026&q=a%20b%2Fc&r=%E4%BD%A0&s=x+y&t=%2e%2e&empty=&u';
const form = (body) => ({ method: 'POST', body, headers: [...PAGE, ['Content-Type', 'application/x-www-form-urlencoded']] });

/** `front`: name, description, start; and places that are for its own questions alone. */
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
    for (const target of ['/.auth/verify', '/.auth/verify/', '/.auth/verify?x', '/.auth/verify/reports', '/.auth/verif%79', '/%2eauth/verify',
      '/%2Eauth/%76erify/reports', '//.auth/verify', '/.auth//verify', '/.auth/./verify', '/x/../.auth/verify', '/.auth/verify/../verify',
      '/.auth/verify/../me', '/.auth/verify/x/../../me', '/.auth/verify/../../reports', '/.auth/%2e/verify', '/.auth/x/%2e%2e/verify/reports',
      '/.auth%2fverify', '/.auth/verify;x', '/.auth;x/verify', '/.AUTH/verify', '/.auth/VERIFY', '/.auth\\verify', ...(front.inside ?? []),
      `${world.origin}/.auth/verify`, `http://${HOST}/.auth/verify/reports`, '*', '.auth/verify', '/.auth/verify#x', '/.auth/verify%00']) {
      for (const headers of [[...PAGE, ...described], PAGE, [...PAGE, ...described, ...described]]) {
        for (const method of ['GET', 'POST']) {
          const page = await as(cookie, target, { headers, method });
          for (const one of ['x-anteport-assertion', 'x-auth-user', 'cookie']) {
            assert.equal(page.header(one), undefined, `${method} ${target} shows ${one}`);
          }
          seen.push(page.status);
        }
      }
    }
    assert.ok(!seen.includes(200), String(seen));
    nobodyGets();
  });

  test(`${name}: the portal's own password door stays closed in every spelling (PATH-15, PATH-20)`, async () => {
    for (const target of ['/login', '/LOGIN', '/Login/', '/login/', '/login.', '/log%69n', '/%6cogin', '/login?x=1', '/./login', '//login',
      '/x/../login', '/x/%2e%2e/login', '/%2e/login', '/login%2f', '/%2flogin', '/login;x', '/login;x=1/', '/x;/../login', '/login%20',
      '/login%00', '/login%3fx', '/log\\..\\in', '/%6c%6f%67%69%6e', '/login//', '/./././login', '/reports/..%2flogin', '/%256cogin',
      `${world.origin}/login`, `http://${HOST}/login`, 'login']) {
      const page = await as(cookie, target, form('user=a&password=b'));
      assert.ok(page.status >= 400 && page.status < 500, `${target}: ${page.status} ${page.html}`);
      const reached = world.arrived();
      assert.deepEqual(reached, [], target);
    }
    // Nor is another page another one to the portal: what was judged is what arrives (GEN-01).
    for (const target of ['//reports', '/./reports', '/x/../reports', '/x/%2e%2e/reports', '/a%2fb', '/reports;x', '/public/../reports',
      '/public/%2e%2e/reports', '/public/..%2freports', '/public//reports', '/public/..;/reports', '/public%2f..%2freports']) {
      const page = await as(undefined, target, { headers: CALL });
      assert.ok(page.status >= 400 && page.status < 500, `${target}: ${page.status}`);
      nobodyGets();
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

  test(`${name}: a form that a rule looks into is read, or does not pass (PATH-12)`, async () => {
    const signIn = await as(cookie, '/entry', form('task=sign_in&password=b'));
    assert.equal(signIn.status, 403, signIn.html);
    nobodyGets();
    const other = await as(cookie, '/entry', form('task=comment'));
    const reads = front.description === 'x_original';
    assert.equal(other.status, reads ? 200 : 403, other.html);
    assert.equal(world.arrived().length, reads ? 1 : 0);
    if (reads) assert.equal(echoed(other).length, 'task=comment'.length);
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
    const refused = await raw(world.port, upgrade(), { enough: (text) => text.includes('\r\n\r\n') });
    assert.match(refused, /^HTTP\/1\.1 (401|403) /);
    nobodyGets();
  });

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
    const allFail = async (what) => {
      for (const [who, target] of all) {
        const page = await as(who, target);
        // What is not asked about is Anteport's own answer, whatever somebody in its place says.
        const is_own = target.startsWith('/.auth/') && what !== 'stopped';
        assert.ok(is_own || (page.status >= 500 && page.status < 600), `${what}: ${target}: ${page.status}`);
        assert.doesNotMatch(page.html, /"method"/);
      }
      nobodyGets();
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
      const sockets = new Set();
      const false_one = net.createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.once('data', () => says !== null && socket.end(says));
      });
      await new Promise((done) => { false_one.listen(world.anteport, '127.0.0.1', done); });
      // Silence takes as long as the question may; one request says it. Own pages may take longer.
      if (says === null) {
        const page = await as(cookie, '/reports');
        assert.ok(page.status >= 500 && page.status < 600, `${what}: ${page.status}`);
        nobodyGets();
      } else {
        await allFail(what);
      }
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => { false_one.close(done); });
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
}
