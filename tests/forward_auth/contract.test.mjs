// Traefik and Envoy do not run here. What their documentation says that they do is played: the question that they ask
// with the shipped configuration, and what of the answer they use.
// Traefik: https://doc.traefik.io/traefik/reference/routing-configuration/http/middlewares/forwardauth/
// Envoy: https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/http/ext_authz/v3/ext_authz.proto
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import http from 'node:http';
import path from 'node:path';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { after, test } from 'node:test';
import tls from 'node:tls';

import { stopAll } from '../portals/processes.mjs';
import { World, SHIPPED } from './world.mjs';
import { CALL, HOST, PAGE } from './wire.mjs';

const yaml = (name) => JSON.parse(execFileSync('python3',
  ['-c', 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))', path.join(SHIPPED, name)], { encoding: 'utf8' }));

const HOP_BY_HOP = ['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'proxy-authorization', 'proxy-authenticate'];
const IDENTITY = ['x-anteport-assertion', 'x-auth-user', 'x-auth-email', 'x-auth-roles'];

/** One request over plain HTTP; `headers` are pairs. */
function send(port, target, { method, headers }) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, method, path: target, headers: headers.flat(), agent: false, setHost: false }, (answer) => {
      let html = '';
      answer.setEncoding('utf8');
      answer.on('data', (piece) => { html += piece; });
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, html }));
    });
    request.on('error', reject);
    request.end();
  });
}

const { http: traefik } = yaml('traefik.yaml');
const envoy = yaml('envoy.yaml').static_resources;
const manager = envoy.listeners[0].filter_chains[0].filters[0].typed_config;
const filter = (name) => manager.http_filters.find((one) => one.name === `envoy.filters.http.${name}`).typed_config;

/** What becomes of a visitor's request: what the portal gets, or what the visitor does. */
async function byTraefik(world, { method = 'GET', target, headers }) {
  let sent = headers;
  for (const name of traefik.routers.portal.middlewares) {
    const { headers: changes, forwardAuth } = traefik.middlewares[name];
    for (const [header, value] of Object.entries(changes?.customRequestHeaders ?? {})) {
      assert.equal(value, '', 'it takes out');
      sent = sent.filter(([found]) => found.toLowerCase() !== header.toLowerCase());
    }
    if (!forwardAuth) continue;
    const set = { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-method': method, 'x-forwarded-proto': 'https',
      'x-forwarded-host': `${HOST}:${world.port}`, 'x-forwarded-uri': target };
    const kept = sent.filter(([found]) => !HOP_BY_HOP.includes(found.toLowerCase()) && !(found.toLowerCase() in set));
    const url = new URL(forwardAuth.address);
    const answer = await send(world.anteport, url.pathname, { method: 'GET', headers: [['host', url.host], ...kept, ...Object.entries(set)] });
    if (answer.status < 200 || answer.status > 299) return { visitor: answer };
    for (const header of forwardAuth.authResponseHeaders.map((one) => one.toLowerCase())) {
      sent = sent.filter(([found]) => found.toLowerCase() !== header);
      if (header in answer.headers) sent.push([header, answer.headers[header]]);
    }
  }
  return { portal: sent };
}

async function byEnvoy(world, { method = 'GET', target, headers }) {
  const removed = filter('header_mutation').mutations.request_mutations.map(({ remove }) => remove);
  let sent = headers.filter(([found]) => !removed.includes(found.toLowerCase()));
  const { http_service: service, allowed_headers: allowed } = filter('ext_authz');
  const passes = allowed.patterns.map(({ safe_regex: { regex } }) => new RegExp(`^${regex}$`));
  const kept = sent.filter(([found]) => !HOP_BY_HOP.includes(found.toLowerCase()) && passes.some((one) => one.test(found)));
  const question = [['host', `${HOST}:${world.port}`], ['x-forwarded-for', '192.0.2.1'], ['x-forwarded-proto', 'https'],
    ['x-envoy-internal', 'true'], ['x-request-id', '5f2c'], ['content-length', '0'], ...kept];
  const answer = await send(world.anteport, service.path_prefix + target, { method, headers: question });
  if (answer.status !== 200) return { visitor: answer };
  for (const { exact } of service.authorization_response.allowed_upstream_headers.patterns) {
    if (!(exact in answer.headers)) continue;
    sent = sent.filter(([found]) => found.toLowerCase() !== exact);
    sent.push([exact, answer.headers[exact]]);
  }
  const remove = (answer.headers['x-envoy-auth-headers-to-remove'] ?? '').split(',').map((one) => one.trim());
  return { portal: sent.filter(([found]) => !remove.includes(found.toLowerCase())) };
}

/** TLS ends here, and everything goes to Anteport: so a member signs in. */
function ending(world) {
  const [key, cert] = ['tls.key', 'tls.crt'].map((name) => readFileSync(path.join(world.folder, name)));
  const server = tls.createServer({ key, cert }, (visitor) => {
    const inside = net.connect(world.anteport, '127.0.0.1');
    for (const socket of [visitor, inside]) socket.on('error', () => {});
    visitor.pipe(inside).pipe(visitor);
  });
  return new Promise((resolve) => { server.listen(world.port, '127.0.0.1', () => resolve(server)); });
}

test('traefik: the shipped file says who is asked, what is taken out, and that nobody is believed', () => {
  const { routers, middlewares, services } = traefik;
  const { forwardAuth } = middlewares.anteport;
  assert.equal(forwardAuth.address, 'http://127.0.0.1:8080/.auth/verify');
  assert.equal(forwardAuth.trustForwardHeader, false);
  // With a list here, Anteport would see nothing of forged headers.
  assert.equal(forwardAuth.authRequestHeaders, undefined);
  assert.deepEqual(forwardAuth.authResponseHeaders.map((one) => one.toLowerCase()), [...IDENTITY, 'cookie']);
  const asked = Object.values(routers).filter(({ service }) => service === 'portal');
  assert.equal(asked.length, 1);
  assert.equal(asked[0].middlewares.at(-1), 'anteport');
  assert.ok(routers.verify.priority > routers.own.priority && routers.own.priority > routers.portal.priority);
  assert.match(routers.verify.rule, /PathPrefix\(`\/\.auth\/verify`\)/);
  assert.deepEqual(middlewares[routers.verify.middlewares[0]].ipAllowList.sourceRange, ['255.255.255.255/32']);
  for (const router of Object.values(routers)) {
    assert.ok(router.tls && services[router.service]);
    for (const name of router.middlewares) assert.ok(middlewares[name], name);
  }
});

test('envoy: the shipped file fails closed, tidies paths up first, and shows Anteport every header', () => {
  const ext = filter('ext_authz');
  assert.equal(ext.failure_mode_allow, false);
  assert.equal(ext.status_on_error.code, 'ServiceUnavailable');
  assert.equal(ext.http_service.path_prefix, '/.auth/verify');
  assert.ok(parseFloat(ext.http_service.server_uri.timeout) <= 10);
  assert.deepEqual([manager.normalize_path, manager.merge_slashes, manager.use_remote_address], [true, true, true]);
  assert.equal(manager.path_with_escaped_slashes_action, 'REJECT_REQUEST');
  assert.equal(manager.common_http_protocol_options.headers_with_underscores_action, 'REJECT_REQUEST');
  assert.deepEqual(manager.http_filters.map(({ name }) => name.replace('envoy.filters.http.', '')), ['header_mutation', 'ext_authz', 'router']);
  const [verify, own, portal] = manager.route_config.virtual_hosts[0].routes;
  assert.deepEqual([verify.match.prefix, verify.direct_response.status], ['/.auth/verify', 404]);
  assert.deepEqual([own.match.prefix, own.route.cluster], ['/.auth/', 'anteport']);
  assert.equal(portal.typed_per_filter_config, undefined, 'asked about');
  const clusters = envoy.clusters.map(({ name }) => name);
  assert.ok([own.route.cluster, portal.route.cluster, ext.http_service.server_uri.cluster].every((one) => clusters.includes(one)));
});

for (const [name, description, plays] of [['traefik', 'x_forwarded', byTraefik], ['envoy', 'path', byEnvoy]]) {
  test(`${name}, as documented: who passes, with what, and who does not`, async () => {
    const world = await World.start({ name, description, start: ending });
    after(() => { world.server.close(); world.stop(); });
    const { cookie: session } = await world.signIn();
    const member = await plays(world, { target: '/reports', headers: [...PAGE, ['Cookie', `${session}; theme=dark`]] });
    assert.ok(member.portal, member.visitor?.html);
    for (const one of IDENTITY) assert.equal(member.portal.filter(([found]) => found.toLowerCase() === one).length, 1, one);
    assert.doesNotMatch(JSON.stringify(member.portal), /__Host-anteport/);
    // Who is nobody is sent on to the sign-in.
    const stranger = await plays(world, { target: '/reports?a=b%20c', headers: PAGE });
    assert.equal(stranger.visitor.status, 303);
    assert.match(stranger.visitor.headers.location, /authorize/);
    assert.ok(stranger.visitor.headers['set-cookie']);
    assert.equal((await plays(world, { target: '/reports', headers: CALL })).visitor.status, 401);
    assert.equal((await plays(world, { method: 'POST', target: '/login', headers: PAGE })).visitor.status, 403);
    for (const target of ['//reports', '/a%2fb', '/./reports', '/reports;x', '/%2e%2e/login']) {
      assert.equal((await plays(world, { target, headers: PAGE })).visitor.status, 400, target);
    }
    const open = await plays(world, { target: '/public/x', headers: [...PAGE, ['X-Auth-User', 'mallory'], ['Authorization', 'Basic dTpw'],
      ['X-Original-URL', '/login']].filter(([header]) => name === 'traefik' ? header !== 'X-Auth-User' : header !== 'X-Original-URL') });
    assert.ok(open.portal, open.visitor?.html);
    assert.doesNotMatch(JSON.stringify(open.portal), /mallory|dTpw|\/login/);
    for (const forged of ['X-AuthUser', 'X--Auth-User', 'X-HTTP-Method', 'Remote-User']) {
      const refused = await plays(world, { target: '/public/x', headers: [...PAGE, [forged, 'mallory']] });
      assert.ok(refused.visitor?.status === 403, forged);
    }
    // Nothing of ours, and nothing besides where nothing else is left.
    const cookie = '__Host-anteport=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
    const alone = await plays(world, { target: '/public/x', headers: [...PAGE, ['Cookie', cookie]] });
    assert.deepEqual(alone.portal.filter(([found]) => found.toLowerCase() === 'cookie'), [], 'COOK-01');
    const both = await plays(world, { target: '/public/x', headers: [...PAGE, ['Cookie', `theme=dark; ${cookie}`]] });
    assert.deepEqual(both.portal.filter(([found]) => found.toLowerCase() === 'cookie').map(([, value]) => value), ['theme=dark']);
  });
}

after(stopAll);
