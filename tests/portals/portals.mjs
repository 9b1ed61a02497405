// Attacks real portals through the gate. For each: the portal is started; its password lets somebody in directly, which
// shows that the attack is one; then every password entrance is tried through `anteport demo --profile …` in every
// spelling, as a stranger and as a member who signed in. No attempt may end with somebody who is the portal's local user,
// or with an account that was made or changed. What members are there for must go on working.
import { freePorts } from '../browser/ports.mjs';
import { startDemo } from '../browser/demo.mjs';
import { logIn } from '../bench/login.mjs';
import { attacks } from './attacks.mjs';
import { ask, cookieHeader, urlencoded } from './http.mjs';
import { stopAll } from './processes.mjs';
import { apache, mariadb } from './servers.mjs';
import django from './django.mjs';
import dokuwiki from './dokuwiki.mjs';
import mediawiki from './mediawiki.mjs';
import tomcat from './tomcat.mjs';
import wordpress from './wordpress.mjs';

const ALL = [wordpress, dokuwiki, mediawiki, tomcat, django];
const MEMBER = 'treasurer@harborclub.example';
const MEMBER_PASSWORD = 'demo';
const FORM = 'application/x-www-form-urlencoded';

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !ALL.some((portal) => portal.name === name));
if (unknown.length) {
  console.error(`no such portal: ${unknown.join(', ')}; there are ${ALL.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const portals = ALL.filter(({ name }) => !wanted.length || wanted.includes(name));

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

let failures = 0;
const fail = (portal, text) => {
  failures += 1;
  console.log(`${portal.name}: FAILED: ${text}`);
};

/** Whether the portal itself takes these cookies for the local user. */
async function isLocalUser(portal, url, cookie) {
  return Boolean(cookie) && portal.shows(await ask(url, { ...portal.member, cookie }));
}

/** What an attack brought: the portal's own opinion, not that of the gate. */
async function effect(portal, url, attack, answer, before, cookie) {
  if (attack.effect === 'state') return (await portal.state()) !== before;
  if (attack.effect === 'shows') return portal.shows(answer);
  return portal.shows(answer) || isLocalUser(portal, url, cookieHeader(answer.cookies, cookie));
}

/** A request with the words of this session in the places that are kept for them. */
function filled(request, words) {
  const { body } = request;
  const put = (text, written) => Object.entries(words).reduce((now, [name, word]) => now.replaceAll(name, written(word)), text);
  const plain = (word) => word;
  const inBody = typeof body !== 'string' || body.startsWith('--') ? plain
    : body.startsWith('{') ? (word) => JSON.stringify(word).slice(1, -1) : encodeURIComponent;
  return {
    ...request,
    target: put(request.target, encodeURIComponent),
    cookie: put(request.cookie ?? '', plain),
    ...(body !== undefined && { body: put(body, inBody) }),
  };
}

/** The portals name their server; the gate's own answers do not. */
const reached = (answer) => answer.headers.server !== undefined;

async function attackOne(portal, url) {
  const begun = Date.now();
  const counts = { real: 0, refused: 0, harmless: 0, tries: 0, work: 0 };
  // Some forms belong to a session that has seen them, and a session that is in already would prove nothing.
  let words = await portal.newSession?.();
  const ready = (request) => (words ? filled(request, words) : request);
  const used = async () => { words = await portal.newSession?.(); };
  // Directly first: an entrance that does not open would prove nothing.
  let number = 0;
  const list = attacks(portal.entrances(), () => { number += 1; return number; });
  for (const attack of list) {
    if (attack.once && !attack.plain) continue;
    const before = attack.effect === 'state' ? await portal.state() : '';
    const request = ready(attack.request);
    const answer = await ask(url, request);
    if (!(await effect(portal, url, attack, answer, before, request.cookie))) continue;
    counts.real += 1;
    await used();
    attack.real = true;
  }
  for (const name of new Set(list.map((attack) => attack.name))) {
    if (!list.some((attack) => attack.name === name && attack.plain && attack.real)) {
      fail(portal, `${name} does not work without the gate, so refusing it would prove nothing`);
    }
  }
  if (process.env.VERBOSE) console.log(counts.real, 'of', list.length, `real after ${Date.now() - begun} ms`);
  if (process.env.DIRECT) return;
  await portal.again?.();

  const demo = await startDemo({ more: ['--upstream', url, '--profile', portal.profile ?? portal.name] });
  try {
    const session = await logIn(demo.proxy, '/', MEMBER, MEMBER_PASSWORD);
    const sessionOnly = session.split('; ').filter((pair) => pair.startsWith('__Host-anteport')).join('; ');
    const before = await portal.state();
    // Everything again: what is refused must not have counted on a number that is used up.
    const fresh = attacks(portal.entrances(), () => { number += 1; return number; });
    for (const [index, attack] of fresh.entries()) {
      for (const own of ['', sessionOnly]) {
        const plain = ready(attack.request);
        const request = { ...plain, cookie: [plain.cookie, own].filter(Boolean).join('; ') };
        if (attack.absolute) request.target = demo.proxy + request.target;
        const answer = await ask(demo.proxy, request);
        counts.tries += 1;
        if (process.env.VERBOSE) console.log(own ? 'member  ' : 'stranger', answer.status, reached(answer) ? 'REACHED' : '       ', list[index].real ? 'real' : '    ', attack.name, request.method ?? 'GET', request.target, JSON.stringify(request.headers?.['content-type'] ?? ''), String(request.body ?? '').slice(0, 60).replaceAll('\r\n', '~'));
        if (await effect(portal, url, attack, answer, before, plain.cookie)) {
          await used();
          fail(portal, `${attack.name} works through the gate as ${own ? 'a member' : 'a stranger'}: ${describe(request)}`);
        } else if (!reached(answer)) {
          counts.refused += 1;
        } else {
          counts.harmless += 1;
          if (attack.plain && attack.mustRefuse !== false) fail(portal, `${attack.name} is not refused: ${describe(request)}`);
        }
      }
    }
    // A session that somebody made at the portal before the gate was there.
    const made = list.find((attack) => attack.real && attack.effect === undefined && attack.plain);
    if (made) {
      await used();
      const request = ready(made.request);
      const cookie = cookieHeader((await ask(url, request)).cookies, request.cookie);
      if (!(await isLocalUser(portal, url, cookie))) fail(portal, 'the session made before is none, so dropping it would prove nothing');
      const answer = await ask(demo.proxy, { ...portal.member, cookie: `${cookie}; ${sessionOnly}` });
      counts.tries += 1;
      if (portal.shows(answer)) fail(portal, 'a session made before the gate lives on behind it');
      else counts.refused += 1;
    }
    if ((await portal.state()) !== before) fail(portal, 'the accounts of the portal are not what they were');
    counts.work = await work(portal, demo.proxy, session);
  } finally {
    await demo.stop();
  }
  console.log(`${portal.name}: ${counts.real} ways in without the gate; ${counts.tries} tries through it: ${counts.refused} refused, ${counts.harmless} without effect; ${counts.work} of ${portal.work().length} ways of work (${Math.round((Date.now() - begun) / 1000)} s)`);
}

const describe = ({ method = 'GET', target, headers, body }) =>
  `${method} ${target} ${JSON.stringify(headers ?? {})} ${String(body ?? '').slice(0, 200)}`;

/** What a member does all day. */
async function work(portal, proxy, session) {
  let cookie = session;
  const as = async ({ fields, setCookies = [], ...request }) => {
    cookie = cookieHeader(setCookies, cookie);
    const form = fields && { body: urlencoded(fields), headers: { 'content-type': FORM, origin: proxy, ...request.headers } };
    const answer = await ask(proxy, { ...request, ...form, cookie });
    cookie = cookieHeader(answer.cookies, cookie);
    return answer;
  };
  let working = 0;
  for (const item of portal.work()) {
    if (item.steps) {
      if (await item.steps(as)) working += 1;
      else fail(portal, `a member cannot: ${item.name}`);
      continue;
    }
    const answer = await as(item);
    const works = reached(answer) && (item.status ? answer.status === item.status : answer.status === 200)
      && (!item.shows || answer.text.includes(item.shows)) && (!item.cookie || answer.cookies.some((line) => line.startsWith(item.cookie)));
    if (works) working += 1;
    else fail(portal, `a member cannot: ${item.name}: ${answer.status} ${JSON.stringify(answer.headers)} ${answer.text.slice(0, 300)}`);
  }
  return working;
}

const begun = Date.now();
try {
  const first = await freePorts(portals.length);
  const ports = new Map(portals.map((portal, index) => [portal, first + index]));
  const databases = portals.map(({ database }) => database).filter(Boolean);
  if (databases.length) await mariadb(databases);
  await Promise.all(portals.map((portal) => portal.prepare(ports.get(portal))));
  const sites = portals.filter(({ site }) => site).map((portal) => ({ ...portal.site, port: ports.get(portal) }));
  if (sites.length) await apache(sites);
  console.log(`portals are ready (${Math.round((Date.now() - begun) / 1000)} s)`);
  for (const portal of portals) {
    try {
      await attackOne(portal, `http://127.0.0.1:${ports.get(portal)}`);
    } catch (error) {
      fail(portal, error.stack);
    }
  }
} catch (error) {
  failures += 1;
  console.error(error.stack);
} finally {
  await stopAll();
}
console.log(`${portals.length} portals, ${failures} failures (${Math.round((Date.now() - begun) / 1000)} s)`);
process.exitCode = failures ? 1 : 0;
