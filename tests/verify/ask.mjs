// One request with its header lines as they are, also two of a name. Portals of this machine have addresses of their
// own, 127.0.0.1 and up, and one listener: whatever the address, it is there.
import http from 'node:http';
import net from 'node:net';

class OneListener extends http.Agent {
  createConnection(options, done) {
    return net.connect({ ...options, host: '127.0.0.1' }, done);
  }
}
http.globalAgent = new OneListener();

const NAVIGATION = [['Accept', 'text/html'], ['Sec-Fetch-Mode', 'navigate'], ['Sec-Fetch-Dest', 'document']];

/** Asks for `url`; `lines` are names and values. */
export function ask(url, lines = [], cookie = '') {
  const headers = { host: new URL(url).host };
  const all = [...NAVIGATION, ...lines, ...(cookie ? [['Cookie', cookie]] : [])];
  for (const [name, value] of all) (headers[name] ??= []).push(value);
  return new Promise((resolve, reject) => {
    const request = http.request(url, { headers, agent: new OneListener() }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (piece) => { text += piece; });
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }));
    });
    request.setTimeout(30_000, () => request.destroy(new Error(`${url}: no answer for 30 s`)));
    request.on('error', reject);
    request.end();
  });
}
