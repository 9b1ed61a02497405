// A server as deploy/forward-auth configures it, with its addresses replaced: in front of a portal that says what it
// got, asking Anteport, which has the emulated Microsoft for its provider.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePorts } from '../browser/ports.mjs';
import { place, run, start, stop } from '../portals/processes.mjs';
import { Browser, HOST } from './wire.mjs';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const ANTEPORT = process.env.ANTEPORT ? path.resolve(process.env.ANTEPORT) : here('../../target/release/anteport');
export const SHIPPED = here('../../deploy/forward-auth/');

/** A portal that believes whatever it is told, and repeats it. */
async function echo(port) {
  const got = [];
  const portal = http.createServer((request, answer) => {
    const entry = { method: request.method, url: request.url, headers: request.rawHeaders };
    got.push(entry);
    let length = 0;
    request.on('data', (piece) => { length += piece.length; });
    request.on('end', () => {
      answer.setHeader('content-type', 'application/json');
      answer.setHeader('www-authenticate', 'Basic realm="portal"');
      if (request.url === '/sets') answer.setHeader('set-cookie', ['theme=dark; Path=/', 'lang=en; Path=/; HttpOnly']);
      answer.end(JSON.stringify({ ...entry, length }));
    });
  });
  portal.on('upgrade', (request, socket) => {
    got.push({ method: request.method, url: request.url, headers: request.rawHeaders });
    const key = request.headers['sec-websocket-key'];
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    socket.write(Buffer.from([0x81, 5, ...Buffer.from('hello')]));
  });
  portal.listen(port, '127.0.0.1');
  await once(portal, 'listening');
  return { got, close: () => { portal.close(); portal.closeAllConnections(); } };
}

/** What a portal said that it got; a header of it, in all of its spellings. */
export function echoed(page) {
  const { headers, ...rest } = JSON.parse(page.html);
  const pairs = headers.flatMap((name, at) => (at % 2 ? [] : [[name.toLowerCase(), headers[at + 1]]]));
  const fold = (name) => name.replace(/[^a-z0-9]/gi, '').toLowerCase();
  const like = (name) => pairs.filter(([found]) => fold(found) === fold(name)).map(([, value]) => value);
  return { ...rest, pairs, like };
}

/** A shipped file with these texts replaced, each of which has to be in it. */
export function shipped(name, replacements) {
  let text = readFileSync(path.join(SHIPPED, name), 'utf8');
  for (const [from, to] of replacements) {
    assert.ok(text.includes(from), `${name} has no ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

export class World {
  /** `front` says how its server is started: `description`, and `start(world)`, unless it is played. */
  static async start(front) {
    const world = new World();
    const first = await freePorts(6);
    Object.assign(world, { port: first, anteport: first + 1, admin: first + 2, emulator: first + 3, portal: first + 4, grpc: first + 5 });
    world.front = front;
    world.origin = `https://${HOST}:${world.port}`;
    world.folder = path.join(place, front.name);
    mkdirSync(world.folder, { recursive: true });
    const [crt, key] = [path.join(world.folder, 'tls.crt'), path.join(world.folder, 'tls.key')];
    await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
      '-subj', `/CN=${HOST}`, '-addext', `subjectAltName=DNS:${HOST}`, '-keyout', key, '-out', crt]);
    writeFileSync(path.join(world.folder, 'tls.pem'), readFileSync(crt, 'utf8') + readFileSync(key, 'utf8'));
    world.echo = await echo(world.portal);
    const config = path.join(world.folder, 'config.yaml');
    world.config = path.join(world.folder, 'emulated.yaml');
    writeFileSync(config, `
listen: { address: "127.0.0.1:${world.anteport}", trusted_proxies: [127.0.0.1] }
admin: { address: "127.0.0.1:${world.admin}" }
verify: { peers: [127.0.0.1], ${front.asks?.(world) ?? `description: ${front.description}`} }
providers:
  corporate:
    kind: entra_id
    tenant: 0a6f3d18-92c4-4b7e-8d51-c3e9f7a2b640
    client_id: 5d2e8b91-7f06-4c3a-a1d4-6b9c0e8f2a75
    credentials: [ { secret: { value: "a secret" } } ]
portals:
  - public_url: "${world.origin}"
    upstream: { url: "http://127.0.0.1:${world.portal}" }
    mode: azure_only
    local_login:
      password_routes:
        - { path: /login, methods: [POST] }
        - { path: /entry, methods: [POST], form: { task: sign_in } }
        - { path: /index.php, methods: [POST], query: { task: sign_in } }
    routes:
      - { path: "/public/**", access: public }
      - { path: "/socket", access: signed_in, websocket: true }
      - { path: "/**", access: signed_in }
    identity:
      headers: { X-Auth-User: oid, X-Auth-Email: email, X-Auth-Roles: roles }
`);
    const log = path.join(place, `${front.name}-emulator.log`);
    const ready = async () => readFileSync(log, 'utf8').includes('Ctrl-C stops it');
    await start(`${front.name}-emulator`, ANTEPORT,
      ['emulator', '--config', config, '--port', String(world.emulator), '--write', world.config], { ready });
    [, world.member] = /sign in as\s+(\S+@\S+)/.exec(readFileSync(log, 'utf8'));
    await world.resume();
    world.server = await front.start?.(world);
    return world;
  }

  /** Anteport runs again, with something more in its configuration. */
  async resume(more = '') {
    const config = path.join(this.folder, 'running.yaml');
    writeFileSync(config, readFileSync(this.config, 'utf8').replace(/^\{/m, `{ ${more}`));
    this.process = await start(`${this.front.name}-anteport`, ANTEPORT, ['run', '--config', config], { port: this.anteport });
  }

  /** Anteport runs no more. */
  async pause() {
    await stop(this.process);
  }

  /** A browser whose member has signed in, and the page where that ended. */
  async signIn(target = '/reports') {
    const browser = new Browser();
    const form = await browser.open(this.origin + target);
    assert.match(form.html, /password/i, `${form.status} ${form.url}: ${form.html}`);
    const page = await browser.send(form, { username: this.member, password: 'demo' });
    return { browser, page, cookie: browser.cookies(this.origin) };
  }

  /** What reached the portal since the last time. */
  arrived() {
    return this.echo.got.splice(0);
  }

  stop() {
    this.echo.close();
  }
}
