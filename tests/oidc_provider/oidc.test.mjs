// `kind: oidc` with a certified provider: what the specifications say, as somebody else reads them.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../browser/ports.mjs';
import { place, start, stopAll } from '../portals/processes.mjs';
import { Browser } from './browser.mjs';
import { Certified, CLIENT, SECRET } from './provider.mjs';

const ANTEPORT = fileURLToPath(new URL('../../target/release/anteport', import.meta.url));

const port = await freePorts(4);
const origin = `http://127.0.0.1:${port}`;
const provider = new Certified(port + 1, origin);

/** A portal that says who it was told is there. */
const portal = http.createServer((request, answer) => {
  const { 'x-auth-user': user, 'x-auth-email': email, 'x-auth-name': name } = request.headers;
  answer.end(JSON.stringify({ path: request.url, user, email, name }));
});

const of = (name, more) => `
  ${name}:
    kind: oidc
    issuer: "${provider.issuer}"
    client_id: ${CLIENT}
    credentials: [ { secret: { value: "${SECRET}" } } ]
    ${more}`;

// OpenID Connect Core 1.0, section 11: who wants a refresh token has to ask for consent.
const RENEWED = `scopes: [openid, profile, email, offline_access]
    request: { prompt: consent }`;

before(async () => {
  await provider.start();
  portal.listen(port + 2, '127.0.0.1');
  const config = path.join(place, 'config.yaml');
  writeFileSync(config, `
listen: { address: "127.0.0.1:${port}" }
admin: { address: "127.0.0.1:${port + 3}" }
providers:${of('plain', '')}${of('posted', 'request: { response_mode: form_post }')}
${of('renewed', RENEWED)}
portals:
  - public_url: "${origin}"
    upstream: { url: "http://127.0.0.1:${port + 2}" }
    sign_in: { providers: [plain, posted, renewed] }
    local_login: {}
    identity: { headers: { X-Auth-User: sub, X-Auth-Email: email, X-Auth-Name: name } }
    logout: { federated: true }
`);
  await start('anteport', ANTEPORT, ['run', '--config', config], { port });
});

after(async () => {
  await stopAll();
  portal.close();
  await provider.stop();
});

/** Signs somebody in as far as the portal's page. */
async function signIn(browser, by, member) {
  let page = await browser.open(`${origin}/.auth/login/${by}?post_login_redirect_uri=/reports?year=2026`);
  if (/name="login"/.test(page.html)) page = await browser.send(page, { login: member, password: 'any' });
  if (/name="prompt" value="consent"/.test(page.html)) page = await browser.send(page);
  assert.equal(page.url, `${origin}/reports?year=2026`, page.html);
  return JSON.parse(page.html);
}

/** Somebody without a session is asked with whom to sign in. */
async function isNobody(browser) {
  const page = await browser.ask(`${origin}/reports`);
  assert.match(page.html, /\/\.auth\/login\/plain/);
}

test('a code with PKCE signs somebody in, and the portal is told who', async () => {
  const granted = provider.granted.length;
  const told = await signIn(new Browser(), 'plain', 'ines');
  assert.deepEqual(told, {
    path: '/reports?year=2026', user: 'ines', email: 'ines@club.example', name: 'Member ines',
  });
  assert.deepEqual(provider.granted.slice(granted), ['authorization_code']);
});

test('an answer that is posted signs somebody in', async () => {
  const told = await signIn(new Browser(), 'posted', 'zoe');
  assert.equal(told.user, 'zoe');
});

test('two people in two browsers stay two', async () => {
  const [first, second] = [new Browser(), new Browser()];
  await Promise.all([signIn(first, 'plain', 'ana'), signIn(second, 'posted', 'jonas')]);
  const who = async (browser) => JSON.parse((await browser.open(`${origin}/who`)).html).user;
  assert.deepEqual(await Promise.all([who(first), who(second)]), ['ana', 'jonas']);
});

test('whoever turns back at the provider comes to a page that says so', async () => {
  const browser = new Browser();
  const page = await browser.open(`${origin}/.auth/login/plain`);
  const abort = /href="([^"]*\/abort)"/.exec(page.html)[1];
  const back = await browser.open(new URL(abort, page.url).href, { from: page.url });
  assert.match(back.html, /login-cancelled/);
  await isNobody(browser);
});

test('signing out ends the session there as well', async () => {
  const browser = new Browser();
  await signIn(browser, 'plain', 'noor');
  // Still signed in there: nobody is asked for a name.
  await signIn(browser, 'plain', 'somebody else').then((told) => assert.equal(told.user, 'noor'));
  const asked = await browser.open(`${origin}/.auth/logout`, { from: origin });
  const page = await browser.send(asked, { logout: 'yes' });
  assert.equal(new URL(page.url).pathname, '/.auth/logout/done', page.html);
  await isNobody(browser);
  const again = await browser.open(`${origin}/.auth/login/plain`);
  assert.match(again.html, /name="login"/, 'the provider asks for a name again');
});

test('whoever signs out at the provider is signed out here, in that browser alone', async () => {
  const [here, elsewhere] = [new Browser(), new Browser()];
  await signIn(here, 'plain', 'elif');
  await signIn(elsewhere, 'plain', 'elif');
  const asked = await here.open(`${provider.issuer}/session/end`);
  await here.send(asked, { logout: 'yes' });
  await isNobody(here);
  assert.equal(JSON.parse((await elsewhere.open(`${origin}/who`)).html).user, 'elif');
});

/** Asks for a refresh, which is none within five seconds of the one before. */
async function refresh(browser) {
  await new Promise((done) => { setTimeout(done, 5100); });
  return browser.ask(`${origin}/.auth/refresh`, { fields: {}, from: origin });
}

test('a refresh brings what has changed, and ends the session of somebody who is gone', async () => {
  const browser = new Browser();
  assert.equal((await signIn(browser, 'renewed', 'mara')).name, 'Member mara');
  provider.names.set('mara', 'Mara Neumann');
  assert.equal((await refresh(browser)).status, 200);
  assert.equal(provider.granted.at(-1), 'refresh_token');
  assert.equal(JSON.parse((await browser.open(`${origin}/who`)).html).name, 'Mara Neumann');
  provider.gone.add('mara');
  assert.equal((await refresh(browser)).status, 401);
  await isNobody(browser);
});

test('a new signing key is found, and one that is withdrawn is missed by nobody', async () => {
  const member = new Browser();
  await signIn(member, 'plain', 'ines');
  await provider.rotate('second', true);
  assert.equal((await signIn(new Browser(), 'plain', 'zoe')).user, 'zoe');
  await provider.rotate('third', false);
  assert.equal((await signIn(new Browser(), 'posted', 'ana')).user, 'ana');
  assert.equal(JSON.parse((await member.open(`${origin}/who`)).html).user, 'ines', 'nobody is signed out');
});
