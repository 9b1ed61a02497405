// Requests as they are written here, byte by byte, over TLS; and a browser of a few lines on top of them.
import http from 'node:http';
import { connect } from 'node:tls';

import { Browser as Walker } from '../oidc_provider/browser.mjs';

export const HOST = 'members.example.org';
export const PAGE = [['Accept', 'text/html'], ['Sec-Fetch-Mode', 'navigate'], ['Sec-Fetch-Dest', 'document'], ['Sec-Fetch-Site', 'none']];
export const CALL = [['Accept', 'application/json'], ['X-Requested-With', 'XMLHttpRequest']];

/** A TLS connection to this machine, whoever it is called. */
const open = (port) => connect({ port, host: '127.0.0.1', servername: HOST, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });

/** One request, and all bytes until the connection ends or `enough` of them are there. */
export function raw(port, bytes, { enough = () => false, patience = 20_000 } = {}) {
  return new Promise((resolve, reject) => {
    const socket = open(port);
    let answer = '';
    const end = () => { socket.destroy(); resolve(answer); };
    socket.setEncoding('latin1');
    socket.setTimeout(patience, () => { socket.destroy(); reject(new Error(`no end of ${bytes.slice(0, 60)} after ${patience} ms:\n${answer}`)); });
    socket.on('secureConnect', () => socket.write(bytes));
    socket.on('data', (piece) => {
      answer += piece;
      if (enough(answer)) end();
    });
    socket.on('end', end);
    // A server that has answered may close a connection of which it did not read everything.
    socket.on('error', (error) => (answer ? end() : reject(error)));
  });
}

function unchunked(text) {
  let body = '';
  for (let rest = text; ;) {
    const size = parseInt(rest, 16);
    const at = rest.indexOf('\r\n') + 2;
    if (!size) return body;
    body += rest.slice(at, at + size);
    rest = rest.slice(at + size + 2);
  }
}

/** Whether an answer is there in full: some servers wait a second for the other end before they close. */
const isWhole = (method) => (text) => {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return false;
  if (method === 'HEAD') return true;
  const [, length] = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end)) ?? [];
  if (length !== undefined) return text.length >= end + 4 + Number(length);
  return /\r\ntransfer-encoding: *chunked/i.test(text.slice(0, end + 2)) && text.endsWith('\r\n0\r\n\r\n');
};

export function parsed(text) {
  const end = text.indexOf('\r\n\r\n');
  const [first, ...lines] = text.slice(0, end).split('\r\n');
  const headers = lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]);
  const all = (name) => headers.filter(([found]) => found === name).map(([, value]) => value);
  const rest = text.slice(end + 4);
  const html = Buffer.from(/chunked/i.test(all('transfer-encoding')[0] ?? '') ? unchunked(rest) : rest, 'latin1').toString();
  return { status: Number(first.split(' ')[1]), all, header: (name) => all(name)[0], html };
}

/** One request to a portal: its target as it stands here, its headers in this order. */
export async function ask(port, target, { method = 'GET', headers = PAGE, cookie, body, patience } = {}) {
  const lines = [['Host', `${HOST}:${port}`], ...headers, ['Connection', 'close']];
  if (cookie) lines.push(['Cookie', cookie]);
  if (body !== undefined) lines.push(['Content-Length', String(Buffer.byteLength(body))]);
  const head = `${method} ${target} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  return parsed(await raw(port, head + (body ?? ''), { enough: isWhole(method), patience }));
}

/** At the provider, over plain HTTP. */
function elsewhere(url, { method, headers, body }) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent: false }, (answer) => {
      let html = '';
      answer.setEncoding('utf8');
      answer.on('data', (piece) => { html += piece; });
      answer.on('end', () => resolve({
        status: answer.statusCode,
        html,
        header: (name) => answer.headers[name],
        all: (name) => [answer.headers[name] ?? []].flat(),
      }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** It walks as the other does, and writes each request byte by byte. */
export class Browser extends Walker {
  jars = new Map();

  cookies(url) {
    const jar = this.jars.get(new URL(url).host) ?? new Map();
    return [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  /** One request; redirects are shown and not followed. */
  async ask(url, { fields, from } = {}) {
    const { host, hostname, port, origin } = new URL(url);
    const target = url.slice(origin.length) || '/';
    const site = from ? (new URL(from).host === host ? 'same-origin' : 'cross-site') : 'none';
    const headers = [...PAGE.slice(0, 3), ['Sec-Fetch-Site', site]];
    const body = fields && new URLSearchParams(fields).toString();
    const method = fields ? 'POST' : 'GET';
    const cookie = this.cookies(url);
    if (fields) headers.push(['Content-Type', 'application/x-www-form-urlencoded']);
    if (fields && from) headers.push(['Origin', new URL(from).origin]);
    const page = hostname === HOST
      ? await ask(Number(port), target, { method, headers, cookie, body })
      : await elsewhere(url, { method, body, headers: { ...Object.fromEntries(headers), ...(cookie && { cookie }) } });
    const jar = this.jars.get(host) ?? new Map();
    this.jars.set(host, jar);
    for (const line of page.all('set-cookie')) {
      const [pair, ...rest] = line.split(';').map((part) => part.trim());
      const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
      if (rest.some((part) => /^max-age=0$/i.test(part))) jar.delete(name);
      else jar.set(name, value);
    }
    return { url, ...page };
  }

  location(page) {
    return page.header('location');
  }
}
