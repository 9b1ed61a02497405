// ENV-06 on WordPress of Debian: a Microsoft sign-in becomes a member of WordPress; a forged header, a password, a cookie
// or an address of e-mail does not.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { logIn } from '../bench/login.mjs';
import { startDemo } from '../browser/demo.mjs';
import { freePorts } from '../browser/ports.mjs';
import { ask as askAt, cookieHeader, urlencoded } from '../portals/http.mjs';
import { place, run, stopAll } from '../portals/processes.mjs';
import { apache, giveToApache, mariadb, sql } from '../portals/servers.mjs';
import wordpress from '../portals/wordpress.mjs';
import { README } from './languages.mjs';

const HEADER = 'X-Anteport-Assertion';
const TREASURER = 'treasurer@harborclub.example';
const PLAIN = { 'X-Auth-User': 'clerk', 'X-Auth-Email': 'clerk@harborclub.example', 'Remote-User': 'clerk' };
const { root } = wordpress.site;
const plugins = path.join(root, 'wp-content/mu-plugins');
const kit = (name) => fileURLToPath(new URL(`../../deploy/verify/${name}`, import.meta.url));

const port = await freePorts(1);
const portal = `http://127.0.0.1:${port}`;
/** WordPress itself, around the proxy, under the name that the proxy gives it. */
const direct = (target, headers = {}, more = {}) => askAt(portal, { target, headers: { host: new URL(demo.proxy).host, ...headers }, ...more });
const count = async () => Number(await sql('SELECT COUNT(*) FROM wp_users', 'wordpress'));

let demo;
let cookieOfBefore;
/** What passwords opened before the plugin was there. */
let passwords;

before(async () => {
  await mariadb([wordpress.database]);
  await wordpress.prepare(port);
  demo = await startDemo({ more: ['--upstream', portal, '--profile', 'wordpress'] });
  configure();
  await apache([{ ...wordpress.site, port }]);
  passwords = wordpress.entrances();
  const [login] = passwords;
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const answer = await direct(login.path, form, { method: 'POST', body: urlencoded(login.fields), cookie: login.cookie });
  cookieOfBefore = cookieHeader(answer.cookies, login.cookie);
  const page = await direct('/wp-admin/profile.php', {}, { cookie: cookieOfBefore });
  assert.ok(wordpress.shows(page), 'the cookie from before the plugin is good, so that refusing it proves something');
  // Whoever believed in e-mail would take the treasurer for the local user, an administrator.
  await sql(`UPDATE wp_users SET user_email = '${TREASURER}' WHERE user_login = 'clerk'`, 'wordpress');
  await install();
});

after(async () => {
  await demo?.stop();
  await stopAll();
});

/** Where PHP keeps the keys: in a folder of its own that no page is served from. */
const cache = path.join(place, 'wordpress-keys/keys.json');

/** Before PHP has read it, for it does not look again soon. */
function configure() {
  const settings = `define('ANTEPORT', ['issuer' => '${demo.proxy}', 'audience' => '${demo.proxy}',
    'keys' => '${demo.proxy}/.auth/jwks.json', 'cache' => '${cache}']);`;
  const config = path.join(root, 'wp-config.php');
  writeFileSync(config, readFileSync(config, 'utf8').replace('$table_prefix', `${settings}\n$table_prefix`));
}

/** The files that the README names, each to the folder that it names after them, and nothing else. */
async function install() {
  const [paragraph] = /^\*\*WordPress\.\*\*[\s\S]*?\n\n/m.exec(README);
  let names = [];
  for (const [, word] of paragraph.matchAll(/`([^`]*)`/g)) {
    if (/^anteport[a-z-]*\.php$/.test(word)) names.push(word);
    if (!/^wp-content\/mu-plugins\/(\w+\/)?$/.test(word)) continue;
    mkdirSync(path.join(root, word), { recursive: true });
    for (const name of names) {
      const source = ['wordpress', 'php'].map((folder) => kit(`${folder}/${name}`)).find(existsSync);
      copyFileSync(source, path.join(root, word, name));
    }
    names = [];
  }
  // What WordPress was told, for whoever tests.
  writeFileSync(path.join(plugins, 'told.php'), "<?php header('X-Told: ' . ($_SERVER['HTTP_X_ANTEPORT_ASSERTION'] ?? 'nothing'));");
  mkdirSync(path.dirname(cache));
  await giveToApache(root);
  await giveToApache(path.dirname(cache));
}

/** Signs somebody in; says with which cookies. */
const signIn = (username, target = '/') => logIn(demo.proxy, target, username, 'demo');
/** What somebody with these cookies gets from the proxy. */
const get = (cookie, target, headers = {}) => askAt(demo.proxy, { target, headers, cookie });

let treasurer;
let assertion;

test('a Microsoft sign-in becomes a member of WordPress', async () => {
  treasurer = await signIn(TREASURER);
  const page = await get(treasurer, '/wp-admin/profile.php');
  assert.equal(page.status, 200, page.text);
  assert.match(page.text, /<body class="wp-admin[^"]*profile-php/);
  assert.doesNotMatch(page.text, /value="clerk"|name="pass1"/, 'not the user who has that e-mail address, and no password to set');
  assert.equal(await count(), 2);
  const [login, roles] = (await sql(`SELECT user_login, role.meta_value FROM wp_users
    JOIN wp_usermeta sub ON sub.user_id = ID AND sub.meta_key = 'anteport_sub'
    JOIN wp_usermeta role ON role.user_id = ID AND role.meta_key = 'wp_capabilities'`, 'wordpress')).trim().split('\t');
  assert.match(login, /^member-[0-9a-f]{32}$/);
  assert.equal(roles, 'a:1:{s:10:"subscriber";b:1;}');
  assertion = page.headers['x-told'];
});

test('the same member comes back as the same, in another browser too', async () => {
  const again = await get(await signIn(TREASURER), '/wp-admin/profile.php');
  assert.equal(again.status, 200);
  assert.equal(await count(), 2);
});

test('another member whose first requests come all at once becomes one user', async () => {
  // A file that WordPress does not make has nobody made yet.
  const cookie = await signIn('member@harborclub.example', '/wp-includes/css/dashicons.min.css');
  assert.equal(await count(), 2);
  const pages = await Promise.all(Array.from({ length: 8 }, () => get(cookie, '/wp-admin/profile.php')));
  assert.deepEqual(pages.map(({ status }) => status), Array(8).fill(200));
  assert.equal(await count(), 3);
});

/** The assertion as somebody signs it who has made a key. */
function forged() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const message = assertion.split('.').slice(0, 2).join('.');
  return `${message}.${sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

test('env_06: around the proxy, a forged assertion and plain headers are nobody', async () => {
  for (const headers of [{}, PLAIN, { [HEADER]: forged() }, { ...PLAIN, [HEADER]: forged() }, { [HEADER]: '' }, { [HEADER]: [assertion, assertion] }]) {
    const page = await direct('/wp-admin/profile.php', headers);
    assert.equal(page.status, 401, JSON.stringify(headers));
    assert.doesNotMatch(page.text, /profile-php/);
    const isNobody = !(HEADER in headers);
    assert.equal((await direct('/', headers)).status, isNobody ? 200 : 401, `what is for everybody: ${JSON.stringify(headers)}`);
  }
  assert.equal((await direct('/wp-admin/profile.php', { [HEADER]: assertion })).status, 200, 'the good one is good');
  assert.equal(await count(), 3);
});

test('env_06: through the proxy, nobody forges one', async () => {
  const stranger = await askAt(demo.proxy, { target: '/wp-admin/profile.php', headers: { [HEADER]: assertion, ...PLAIN } });
  assert.notEqual(stranger.status, 200);
  assert.equal(stranger.headers['x-told'], undefined, 'WordPress was not asked');
});

test('passwords, cookies from before and application passwords open nothing', async () => {
  for (const entrance of passwords) {
    if (!entrance.fields || typeof entrance.fields === 'function') continue;
    const body = urlencoded(entrance.fields);
    const target = `${entrance.path}${entrance.query ? `?${entrance.query}` : ''}`;
    const answer = await direct(target, { 'content-type': 'application/x-www-form-urlencoded' }, { method: 'POST', body, cookie: entrance.cookie });
    const page = await direct('/wp-admin/profile.php', {}, { cookie: cookieHeader(answer.cookies, entrance.cookie) });
    assert.equal(page.status, 401, entrance.name);
  }
  assert.equal((await direct('/wp-admin/profile.php', {}, { cookie: cookieOfBefore })).status, 401);
  const member = await direct('/wp-admin/profile.php', { [HEADER]: assertion }, { cookie: cookieOfBefore });
  assert.doesNotMatch(member.text, /value="clerk"/, 'beside an assertion a cookie does not count either');
  const application = passwords.find(({ headers }) => headers?.authorization);
  const who = await direct('/wp-json/wp/v2/users/me', application.headers);
  assert.equal(who.status, 401, who.text);
});

test('the interface for scripts wants its nonce, and then knows the member', async () => {
  assert.equal((await get(treasurer, '/wp-json/wp/v2/users/me')).status, 401);
  const nonce = (await get(treasurer, '/wp-admin/admin-ajax.php?action=rest-nonce')).text;
  assert.match(nonce, /^[0-9a-f]{10}$/);
  const me = await get(treasurer, '/wp-json/wp/v2/users/me', { 'x-wp-nonce': nonce });
  assert.equal(me.status, 200, me.text);
  assert.notEqual(JSON.parse(me.text).id, 1);
  assert.equal((await get(treasurer, '/wp-json/wp/v2/posts')).status, 200);
});

test('a visitor without an assertion is anonymous, and hears of no 401 but where members are', async () => {
  for (const target of ['/', '/wp-json/wp/v2/posts', '/feed/']) {
    const page = await direct(target);
    assert.equal(page.status, 200, `${target}: ${page.text}`);
    assert.doesNotMatch(page.text, /does not say who you are/);
  }
  assert.equal((await direct('/wp-admin/profile.php')).status, 401);
});

const comments = async () => Number(await sql('SELECT COUNT(*) FROM wp_comments', 'wordpress'));
/** Something that changes, which a stranger may do as well as a member. */
const comment = (text, headers = {}) => direct('/wp-comments-post.php', { 'content-type': 'application/x-www-form-urlencoded', ...headers }, {
  method: 'POST',
  body: urlencoded({ comment: text, author: 'Ann', email: 'ann@harborclub.example', comment_post_ID: '1', comment_parent: '0' }),
});

test('env_06: who comes with an assertion that is not good is no stranger who may change something', async () => {
  const before = await comments();
  const refused = await comment('as somebody else', { [HEADER]: forged() });
  assert.equal(refused.status, 401, refused.text);
  assert.match(refused.text, /^Please sign in/);
  assert.equal(refused.headers['cache-control'], 'no-store');
  for (const [target, method] of [['/xmlrpc.php', 'POST'], ['/wp-json/wp/v2/posts', 'GET'], ['/wp-json/wp/v2/posts', 'DELETE'], ['/wp-cron.php', 'GET'], ['/', 'HEAD']]) {
    assert.equal((await direct(target, { [HEADER]: forged() }, { method })).status, 401, `${method} ${target}`);
  }
  assert.equal(await comments(), before);
  assert.equal((await comment('from a stranger')).status, 302);
  assert.equal((await comment('from the treasurer', { [HEADER]: assertion })).status, 302);
  assert.equal(await comments(), before + 2, 'the same from nobody, and from a member');
});

/** Not a member and not a stranger, but somebody who may come again. */
function isLater(answer) {
  assert.equal(answer.status, 503, answer.text);
  assert.match(answer.text, /^Please try again in a moment/);
  assert.equal(answer.headers['retry-after'], '10');
  assert.equal(answer.headers['cache-control'], 'no-store');
}

test('env_06, gen_03: while there are no keys, whoever has an assertion is asked to come again', async () => {
  const kept = readFileSync(cache);
  const before = await comments();
  // As it is after twenty minutes in which the keys could not be had.
  writeFileSync(cache, JSON.stringify({ keys: JSON.parse(kept).keys, asked: Math.floor(Date.now() / 1000), got: 0 }));
  isLater(await direct('/wp-admin/profile.php', { [HEADER]: assertion }));
  isLater(await direct('/', { [HEADER]: assertion }));
  isLater(await comment('without keys', { [HEADER]: assertion }));
  assert.equal(await comments(), before);
  assert.equal((await direct('/')).status, 200, 'who has none is anonymous still');
  writeFileSync(cache, kept);
  assert.equal((await direct('/wp-admin/profile.php', { [HEADER]: assertion })).status, 200);
});

test('gen_03: a member for whom no user can be made is asked to come again', async () => {
  const subject = createHash('sha256').update(JSON.parse(Buffer.from(assertion.split('.')[1], 'base64url')).sub).digest('hex');
  const turn = (from, to) => sql(`UPDATE wp_usermeta SET meta_value = '${to}' WHERE meta_key = 'anteport_sub' AND meta_value = '${from}'`, 'wordpress');
  // The name that the user would get is taken.
  await turn(subject, 'nobody');
  isLater(await direct('/', { [HEADER]: assertion }));
  await turn('nobody', subject);
  assert.equal((await direct('/', { [HEADER]: assertion })).status, 200);
  assert.equal(await count(), 3);
});

test('what has no member goes on: the clock, XML-RPC, the feed', async () => {
  assert.equal((await direct('/wp-cron.php')).status, 200);
  const body = '<?xml version="1.0"?><methodCall><methodName>system.listMethods</methodName></methodCall>';
  const listed = await direct('/xmlrpc.php', { 'content-type': 'text/xml' }, { method: 'POST', body });
  assert.match(listed.text, /wp\.getUsersBlogs/);
  assert.match((await direct('/feed/')).text, /<rss/);
  const { stdout } = await run('php', ['-r', `$_SERVER['HTTP_HOST'] = '127.0.0.1'; require '${root}/wp-load.php'; echo get_current_user_id();`]);
  assert.match(stdout, /0$/, 'on the command line nobody is signed in');
});

test('signing out in WordPress signs out at the gate', async () => {
  const page = await get(treasurer, '/wp-admin/profile.php');
  const link = /href="([^"]*\/\.auth\/logout)"/.exec(page.text)?.[1];
  assert.ok(link, 'WordPress links to the sign-out');
  const { pathname } = new URL(link);
  const left = await get(treasurer, pathname, { 'sec-fetch-site': 'same-origin' });
  assert.equal(left.status, 303, left.text);
  assert.notEqual((await get(treasurer, '/wp-admin/profile.php')).status, 200);
});
