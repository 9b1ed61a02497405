// What a key server over TLS needs that is asked for by its name: a certificate, who vouches for it, and names.
import dgram from 'node:dgram';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { place, run } from '../portals/processes.mjs';

const at = (name) => path.join(place, name);

/** An authority that nobody knows yet, and a certificate of it for `name`. */
export async function authority(name) {
  const openssl = (...args) => run('openssl', args, { cwd: place });
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  await openssl('req', '-x509', ...made, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=an authority for tests');
  writeFileSync(at('san.txt'), `subjectAltName = DNS:${name}\n`);
  await openssl('req', ...made.slice(0, -2), '-keyout', 'tls.key', '-out', 'tls.csr', '-subj', `/CN=${name}`);
  await openssl('x509', '-req', '-in', 'tls.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2',
    '-extfile', 'san.txt', '-out', 'tls.pem');
  await run('keytool', ['-importcert', '-noprompt', '-alias', 'tests', '-file', at('ca.pem'), '-keystore', at('ca.p12'),
    '-storetype', 'PKCS12', '-storepass', 'anything']);
  return { key: readFileSync(at('tls.key')), cert: readFileSync(at('tls.pem')), file: at('ca.pem'), store: at('ca.p12') };
}

/** Says of every name that it is this machine. */
export async function names(port) {
  const socket = dgram.createSocket('udp4');
  socket.on('message', (question, { address, port: from }) => {
    const end = question.indexOf(0, 12) + 5; // the name ends in a byte of zero, its type and class have four
    const isAddress = question.readUInt16BE(end - 4) === 1;
    const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    const head = Buffer.from(question.subarray(0, 12));
    head.writeUInt16BE(0x8180, 2);
    head.writeUInt16BE(isAddress ? 1 : 0, 6);
    head.fill(0, 8);
    socket.send(Buffer.concat([head, question.subarray(12, end), ...(isAddress ? [answer] : [])]), from, address);
  });
  socket.bind(port, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}
