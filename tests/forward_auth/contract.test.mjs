// Traefik, Envoy and a Gateway API do not run here. What their documentation says that they do is played: the question that they ask
// with the shipped configuration, and what of the answer they use.
// Traefik: https://doc.traefik.io/traefik/reference/routing-configuration/http/middlewares/forwardauth/
// Envoy: https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/http/ext_authz/v3/ext_authz.proto
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import http from 'node:http';
import path from 'node:path';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';

import { stopAll } from '../portals/processes.mjs';
import { World, SHIPPED } from './world.mjs';
import { CALL, HOST, PAGE } from './wire.mjs';

const documents = (name) => JSON.parse(execFileSync('python3',
  ['-c', 'import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))', path.join(SHIPPED, name)], { encoding: 'utf8' }));
const yaml = (name) => documents(name)[0];
const here = (name) => fileURLToPath(new URL(name, import.meta.url));

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
/** What an Envoy file has: its clusters, what is done with a connection, and a filter of it. */
function envoyOf(file) {
  const { listeners, clusters } = yaml(file).static_resources;
  const manager = listeners[0].filter_chains[0].filters[0].typed_config;
  const filter = (name) => manager.http_filters.find((one) => one.name === `envoy.filters.http.${name}`).typed_config;
  const taken = filter('header_mutation').mutations.request_mutations.map(({ remove }) => remove);
  return { clusters, manager, filter, taken };
}
const [overHttp, overGrpc] = ['envoy.yaml', 'envoy-grpc.yaml'].map(envoyOf);
const { filter, taken: removed } = overHttp;

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

/** Envoy's own messages, by a library that nobody here wrote: what is told of each request that is asked about. */
function asking(world) {
  const python = spawn(here('../.partners/forward-auth/bin/python'), [here('grpc_question.py'), `127.0.0.1:${world.grpc}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: python.stdout })[Symbol.asyncIterator]();
  after(() => { python.stdin.end(); });
  return async (asked) => {
    python.stdin.write(`${JSON.stringify(asked)}\n`);
    const { value, done } = await lines.next();
    assert.ok(!done, 'grpcio has no answer');
    return JSON.parse(value);
  };
}

async function byGrpc(world, { method = 'GET', target, headers, body = '' }) {
  world.asks ??= asking(world);
  let sent = headers.filter(([found]) => !overGrpc.taken.includes(found.toLowerCase()));
  const question = [...sent, ['x-forwarded-for', '192.0.2.1'], ['x-forwarded-proto', 'https'], ['x-envoy-internal', 'true'], ['x-request-id', '5f2c']];
  const raw = overGrpc.filter('ext_authz').encode_raw_headers;
  const told = await world.asks({ method, host: `${HOST}:${world.port}`, target, headers: question, raw, body });
  // Other servers show headers the other way, and hear the same.
  const other = await world.asks({ method, host: `${HOST}:${world.port}`, target, headers: question, raw: !raw, body });
  assert.deepEqual([other.code, other.which, other.status], [told.code, told.which, told.status], target);
  if (told.code !== 0) {
    assert.equal(told.which, 'denied_response');
    const shown = {};
    for (const [name, value] of told.headers) (shown[name] ??= []).push(value);
    const one = Object.entries(shown).map(([name, values]) => [name, name === 'set-cookie' ? values : values.join(', ')]);
    return { visitor: { status: told.status, headers: Object.fromEntries(one), html: told.body } };
  }
  assert.equal(told.which, 'ok_response');
  for (const [name, value, action] of told.set) {
    assert.equal(action, 'OVERWRITE_IF_EXISTS_OR_ADD');
    sent = sent.filter(([found]) => found.toLowerCase() !== name);
    sent.push([name, value]);
  }
  return { portal: sent.filter(([found]) => !told.remove.includes(found.toLowerCase())) };
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

for (const [name, { clusters, manager, filter }] of [['envoy', overHttp], ['envoy over gRPC', overGrpc]]) {
  test(`${name}: the shipped file fails closed, tidies paths up first, and shows Anteport every header`, () => {
    const ext = filter('ext_authz');
    assert.equal(ext.failure_mode_allow, false);
    assert.equal(ext.status_on_error.code, 'ServiceUnavailable');
    assert.deepEqual([manager.normalize_path, manager.merge_slashes, manager.use_remote_address], [true, true, true]);
    assert.equal(manager.path_with_escaped_slashes_action, 'REJECT_REQUEST');
    assert.equal(manager.common_http_protocol_options.headers_with_underscores_action, 'REJECT_REQUEST');
    assert.deepEqual(manager.http_filters.map((one) => one.name.replace('envoy.filters.http.', '')), ['header_mutation', 'ext_authz', 'router']);
    const [verify, own, portal] = manager.route_config.virtual_hosts[0].routes;
    assert.deepEqual([verify.match.prefix, verify.direct_response.status], ['/.auth/verify', 404]);
    assert.deepEqual([own.match.prefix, own.route.cluster], ['/.auth/', 'anteport']);
    assert.equal(portal.typed_per_filter_config, undefined, 'asked about');
    const { cluster, timeout } = name === 'envoy' ? ext.http_service.server_uri
      : { cluster: ext.grpc_service.envoy_grpc.cluster_name, timeout: ext.grpc_service.timeout };
    assert.ok(parseFloat(timeout) <= 10);
    const known = clusters.map((one) => one.name);
    assert.ok([own.route.cluster, portal.route.cluster, cluster].every((one) => known.includes(one)));
  });
}

test('envoy: the question goes below the address that is asked at, or over HTTP/2 with what a form says', () => {
  assert.equal(overHttp.filter('ext_authz').http_service.path_prefix, '/.auth/verify');
  const ext = overGrpc.filter('ext_authz');
  assert.deepEqual([ext.transport_api_version, ext.encode_raw_headers, ext.allowed_headers, ext.disallowed_headers], ['V3', true, undefined, undefined]);
  assert.deepEqual(ext.with_request_body, { max_request_bytes: 65536, allow_partial_message: true, pack_as_bytes: true });
  const asked = overGrpc.clusters.find((one) => one.name === ext.grpc_service.envoy_grpc.cluster_name);
  const [options] = Object.values(asked.typed_extension_protocol_options);
  assert.deepEqual(options.explicit_http_config, { http2_protocol_options: {} });
});

// HTTPRoute's `externalAuth` as of v1.4: https://gateway-api.sigs.k8s.io/geps/gep-1494/
test('gateway api: the shipped route asks about everything but what is Anteport\'s own', () => {
  const [route, service] = documents('gateway-api.yaml');
  assert.deepEqual([route.apiVersion, route.kind], ['gateway.networking.k8s.io/v1', 'HTTPRoute']);
  const [own, portal] = route.spec.rules;
  assert.deepEqual([own.matches, own.filters, own.backendRefs[0].name], [[{ path: { type: 'PathPrefix', value: '/.auth' } }], undefined, 'anteport']);
  assert.deepEqual(portal.matches, [{ path: { type: 'PathPrefix', value: '/' } }]);
  const [taken, asks] = portal.filters;
  assert.deepEqual(Object.keys(taken), ['type', 'requestHeaderModifier']);
  assert.deepEqual(taken.requestHeaderModifier.remove, [...IDENTITY, 'authorization']);
  assert.deepEqual(Object.keys(asks), ['type', 'externalAuth']);
  assert.equal(asks.type, 'ExternalAuth');
  const { protocol, backendRef, grpc, ...rest } = asks.externalAuth;
  // The definition wants `grpc` with GRPC, and nothing of `http`.
  assert.deepEqual([protocol, grpc, rest], ['GRPC', {}, {}]);
  const ports = service.spec.ports.map((one) => one.port);
  assert.ok(ports.includes(backendRef.port) && ports.includes(own.backendRefs[0].port) && backendRef.name === service.metadata.name);
  assert.equal(service.spec.ports.find((one) => one.port === backendRef.port).appProtocol, 'kubernetes.io/h2c');
  assert.equal(portal.backendRefs[0].name, 'portal');
});

const grpc = (world) => `grpc: { address: "127.0.0.1:${world.grpc}" }`;
for (const [name, asks, plays] of [['traefik', () => 'description: x_forwarded', byTraefik], ['envoy', () => 'description: path', byEnvoy],
  ['envoy-grpc', grpc, byGrpc]]) {
  test(`${name}, as documented: who passes, with what, and who does not`, async () => {
    const world = await World.start({ name, asks, start: ending });
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
    // A form is looked into where it comes along.
    if (name !== 'envoy-grpc') return;
    const form = (body) => plays(world, { method: 'POST', target: '/entry', body, headers: [...PAGE, ['Cookie', session],
      ['Content-Type', 'application/x-www-form-urlencoded'], ['Content-Length', String(body.length)]] });
    assert.ok((await form('task=comment')).portal);
    assert.match((await form('task=sign_in')).visitor.html, /local-login-blocked/);
    const unseen = { method: 'POST', target: '/entry', headers: [...PAGE, ['Cookie', session], ['Content-Type', 'application/x-www-form-urlencoded']] };
    assert.match((await plays(world, unseen)).visitor.html, /verify-form/);
  });
}

after(stopAll);
