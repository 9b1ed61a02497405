// A gateway of the Gateway API does not run here: its shipped route is read. Nor do servers that ask over gRPC and are no
// Envoy: Envoy's own messages are sent by grpcio, with headers in both of the ways in which they may be shown.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import path from 'node:path';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';

import { stopAll } from '../portals/processes.mjs';
import { SHIPPED, World } from './world.mjs';
import { CALL, HOST, PAGE } from './wire.mjs';

const documents = (name) => JSON.parse(execFileSync('python3',
  ['-c', 'import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))', path.join(SHIPPED, name)], { encoding: 'utf8' }));
const yaml = (name) => documents(name)[0];
const here = (name) => fileURLToPath(new URL(name, import.meta.url));

const IDENTITY = ['x-anteport-assertion', 'x-auth-user', 'x-auth-email', 'x-auth-roles'];

const file = yaml('envoy-grpc.yaml').static_resources;
const { http_filters: filters } = file.listeners[0].filter_chains[0].filters[0].typed_config;
const filter = (name) => filters.find((one) => one.name === `envoy.filters.http.${name}`).typed_config;
const taken = filter('header_mutation').mutations.request_mutations.flatMap(({ remove }) => remove ?? []);

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
  let sent = headers.filter(([found]) => !taken.includes(found.toLowerCase()));
  const question = [...sent, ['x-forwarded-for', '192.0.2.1'], ['x-forwarded-proto', 'https'], ['x-envoy-internal', 'true'], ['x-request-id', '5f2c']];
  const raw = filter('ext_authz').encode_raw_headers;
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

test('grpc: who passes, with what, and who does not', async () => {
  const world = await World.start({ name: 'grpc', asks: (it) => `grpc: { address: "127.0.0.1:${it.grpc}" }`, start: ending });
  after(() => { world.server.close(); world.stop(); });
  const { cookie: session } = await world.signIn();
  const member = await byGrpc(world, { target: '/reports', headers: [...PAGE, ['Cookie', `${session}; theme=dark`]] });
  assert.ok(member.portal, member.visitor?.html);
  for (const one of IDENTITY) assert.equal(member.portal.filter(([found]) => found.toLowerCase() === one).length, 1, one);
  assert.doesNotMatch(JSON.stringify(member.portal), /__Host-anteport/);
  // Who is nobody is sent on to the sign-in.
  const stranger = await byGrpc(world, { target: '/reports?a=b%20c', headers: PAGE });
  assert.equal(stranger.visitor.status, 303);
  assert.match(stranger.visitor.headers.location, /authorize/);
  assert.ok(stranger.visitor.headers['set-cookie']);
  assert.equal((await byGrpc(world, { target: '/reports', headers: CALL })).visitor.status, 401);
  assert.equal((await byGrpc(world, { method: 'POST', target: '/login', headers: PAGE })).visitor.status, 403);
  for (const target of ['//reports', '/a%2fb', '/./reports', '/reports;x', '/%2e%2e/login']) {
    assert.equal((await byGrpc(world, { target, headers: PAGE })).visitor.status, 400, target);
  }
  const open = await byGrpc(world, { target: '/public/x', headers: [...PAGE, ['X-Auth-User', 'mallory'], ['Authorization', 'Basic dTpw'],
    ['X-Forwarded-Host', 'evil.example']] });
  assert.ok(open.portal, open.visitor?.html);
  assert.doesNotMatch(JSON.stringify(open.portal), /mallory|dTpw|evil/);
  for (const forged of ['X-AuthUser', 'X--Auth-User', 'X-HTTP-Method', 'Remote-User']) {
    const refused = await byGrpc(world, { target: '/public/x', headers: [...PAGE, [forged, 'mallory']] });
    assert.ok(refused.visitor?.status === 403, forged);
  }
  // Nothing of ours, and nothing besides where nothing else is left.
  const cookie = '__Host-anteport=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
  const alone = await byGrpc(world, { target: '/public/x', headers: [...PAGE, ['Cookie', cookie]] });
  assert.deepEqual(alone.portal.filter(([found]) => found.toLowerCase() === 'cookie'), [], 'COOK-01');
  const both = await byGrpc(world, { target: '/public/x', headers: [...PAGE, ['Cookie', `theme=dark; ${cookie}`]] });
  assert.deepEqual(both.portal.filter(([found]) => found.toLowerCase() === 'cookie').map(([, value]) => value), ['theme=dark']);
  // A form is looked into where it comes along.
  const form = (body) => byGrpc(world, { method: 'POST', target: '/entry', body, headers: [...PAGE, ['Cookie', session],
    ['Content-Type', 'application/x-www-form-urlencoded'], ['Content-Length', String(body.length)]] });
  assert.ok((await form('task=comment')).portal);
  assert.match((await form('task=sign_in')).visitor.html, /local-login-blocked/);
  const unseen = { method: 'POST', target: '/entry', headers: [...PAGE, ['Cookie', session], ['Content-Type', 'application/x-www-form-urlencoded']] };
  assert.match((await byGrpc(world, unseen)).visitor.html, /verify-form/);
});

after(stopAll);
