// A member signs in at the emulated Microsoft; what the portal then gets is verified by what portals behind the real
// gates use, which nobody here wrote.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { AlbJwtVerifier } from 'aws-jwt-verify';
import { AlbJwksCache } from 'aws-jwt-verify/alb-cache';
import { OAuth2Client } from 'google-auth-library';
import { createRemoteJWKSet, importX509, jwtVerify } from 'jose';
import { freePorts } from '../browser/ports.mjs';
import { Browser } from '../oidc_provider/browser.mjs';
import { place, run, start, stopAll } from '../portals/processes.mjs';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const ANTEPORT = here('../../target/release/anteport');
const PYTHON = here('../.partners/msal/bin/python');

const TEAM = 'https://harborclub.cloudflareaccess.com';
const TAG = '32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228';
const BACKEND = '/projects/123456789/global/backendServices/987654321';
const BALANCER = 'arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/members/0123456789abcdef';
const TENANT = '0a6f3d18-92c4-4b7e-8d51-c3e9f7a2b640';
const CLIENT = '5d2e8b91-7f06-4c3a-a1d4-6b9c0e8f2a75';

const port = await freePorts(4);
const signed = `http://127.0.0.1:${port}`;
const easy = `http://localhost:${port}`;
let got;
let member;

const portal = http.createServer((request, answer) => {
  answer.end(JSON.stringify(request.headers));
});

before(async () => {
  portal.listen(port + 2, '127.0.0.1');
  const config = path.join(place, 'config.yaml');
  const emulated = path.join(place, 'emulated.yaml');
  const of = (url, identity) => `
  - public_url: "${url}"
    upstream: { url: "http://127.0.0.1:${port + 2}" }
    local_login: {}
    identity:
      only_way_in: true
      addresses_are_theirs: true
      assertion: none
${identity}`;
  writeFileSync(config, `
listen: { address: "127.0.0.1:${port}" }
admin: { address: "127.0.0.1:${port + 3}" }
providers:
  corporate:
    kind: entra_id
    tenant: ${TENANT}
    client_id: ${CLIENT}
    credentials: [ { secret: { value: "a secret" } } ]
portals:${of(signed, `
      preset: [cloudflare_access, google_iap, aws_alb, pomerium]
      cloudflare_access: { team_domain: "${TEAM}", audience: ${TAG} }
      google_iap: { audience: ${BACKEND} }
      aws_alb: { signer: "${BALANCER}" }
`)}${of(easy, '      preset: easy_auth\n')}`);
  const log = path.join(place, 'emulator.log');
  const ready = async () => {
    try {
      return readFileSync(log, 'utf8').includes('Ctrl-C stops it');
    } catch {
      return false;
    }
  };
  await start('emulator', ANTEPORT, ['emulator', '--config', config, '--port', String(port + 1), '--write', emulated], { ready });
  await start('anteport', ANTEPORT, ['run', '--config', emulated], { port });
  [, member] = /sign in as\s+(\S+@\S+)/.exec(readFileSync(log, 'utf8'));
  got = await signIn(`${signed}/reports`);
});

after(async () => {
  await stopAll();
  portal.close();
});

async function signIn(url) {
  const browser = new Browser();
  const form = await browser.open(url);
  const page = await browser.send(form, { username: member, password: 'demo' });
  assert.equal(page.url, url, page.html);
  return { browser, ...JSON.parse(page.html) };
}

test('Cloudflare Access: jose, by the set of keys and by the certificate', async () => {
  const token = got['cf-access-jwt-assertion'];
  const certs = new URL('/cdn-cgi/access/certs', signed);
  const expected = { issuer: TEAM, audience: TAG, algorithms: ['RS256'], requiredClaims: ['exp', 'iat', 'nbf', 'sub'] };
  const { payload } = await jwtVerify(token, createRemoteJWKSet(certs), expected);
  assert.equal(payload.email, got['cf-access-authenticated-user-email']);
  assert.equal(payload.type, 'app');
  const { public_cert: only, public_certs: all } = await (await fetch(certs)).json();
  await jwtVerify(token, await importX509(only.cert, 'RS256'), expected);
  assert.deepEqual(all, [only]);
  const certificate = new X509Certificate(only.cert);
  assert.ok(certificate.verify(certificate.publicKey));
  await assert.rejects(jwtVerify(token, createRemoteJWKSet(certs), { ...expected, audience: 'other' }));
});

test("Google IAP: Google's own library, with our keys in place of its host's", async () => {
  const token = got['x-goog-iap-jwt-assertion'];
  const keys = await (await fetch(`${signed}/.auth/presets/google_iap/public_key`)).json();
  const client = new OAuth2Client();
  const ticket = await client.verifySignedJwtWithCertsAsync(token, keys, BACKEND, ['https://cloud.google.com/iap']);
  assert.equal(`accounts.google.com:${ticket.getPayload().email}`, got['x-goog-authenticated-user-email']);
  assert.equal(ticket.getPayload().sub, got['x-goog-authenticated-user-id']);
  await assert.rejects(client.verifySignedJwtWithCertsAsync(token, keys, '/projects/1', ['https://cloud.google.com/iap']));
  const jwks = createRemoteJWKSet(new URL('/.auth/presets/google_iap/public_key-jwk', signed));
  await jwtVerify(token, jwks, { issuer: 'https://cloud.google.com/iap', audience: BACKEND, algorithms: ['ES256'] });
});

test("AWS ALB: AWS's own verifier, and PyJWT as AWS's documentation has it", async () => {
  const token = got['x-amzn-oidc-data'];
  const keys = `${signed}/.auth/presets/aws_alb`;
  // It fetches over TLS alone.
  const fetcher = { fetch: async (uri) => (await fetch(uri)).arrayBuffer() };
  const issuer = JSON.parse(Buffer.from(token.split('.')[0], 'base64url')).iss;
  const properties = { albArn: BALANCER, issuer, clientId: CLIENT, jwksUri: keys };
  const verifier = AlbJwtVerifier.create(properties, { jwksCache: new AlbJwksCache({ fetcher }) });
  const payload = await verifier.verify(token);
  assert.equal(payload.sub, got['x-amzn-oidc-identity']);
  assert.equal(payload.email, member);
  const other = AlbJwtVerifier.create({ ...properties, albArn: BALANCER.replace('members', 'others') },
    { jwksCache: new AlbJwksCache({ fetcher }) });
  await assert.rejects(other.verify(token));
  const { stdout } = await run(PYTHON, [here('alb.py'), keys, BALANCER, token]);
  assert.deepEqual(JSON.parse(stdout), { ...payload });
});

test('Pomerium: jose, by the set of keys at its well-known address', async () => {
  const jwks = createRemoteJWKSet(new URL('/.well-known/pomerium/jwks.json', signed));
  const { payload } = await jwtVerify(got['x-pomerium-jwt-assertion'], jwks,
    { issuer: '127.0.0.1', audience: '127.0.0.1', algorithms: ['ES256'] });
  assert.equal(payload.email, member);
  assert.deepEqual(payload.groups, []);
});

test('Easy Auth: the principal, read as .NET and JavaScript read it', async () => {
  const { browser, ...headers } = await signIn(`${easy}/reports`);
  // atob is strict about padding, and JSON.parse about the rest.
  const principal = JSON.parse(atob(headers['x-ms-client-principal']));
  assert.equal(principal.auth_typ, 'aad');
  const name = principal.claims.find(({ typ }) => typ === principal.name_typ);
  assert.equal(name.val, member);
  assert.equal(headers['x-ms-client-principal-name'], member);
  const me = JSON.parse((await browser.ask(`${easy}/.auth/me`)).html);
  assert.deepEqual(me[0].user_claims, principal.claims);
  assert.ok(new Date(me[0].expires_on) > new Date());
});
