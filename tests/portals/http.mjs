// One request as it is written, over `node:http`: `fetch` would tidy the target and the headers first.
import http from 'node:http';

/** Asks `origin`; the answer has `status` 0 if there was none. `target` goes onto the wire as it is. */
export function ask(origin, { method = 'GET', target = '/', headers = {}, cookie = '', body } = {}) {
  const { hostname, port } = new URL(origin);
  const sent = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', ...headers };
  if (cookie) sent.cookie = cookie;
  if (body !== undefined && !('transfer-encoding' in sent)) sent['content-length'] = String(Buffer.byteLength(body));
  return new Promise((resolve) => {
    const none = (error) => resolve({ status: 0, headers: {}, cookies: [], text: String(error) });
    let request;
    try {
      request = http.request({ hostname, port, method, path: target, headers: sent, agent: false }, (answer) => {
        const pieces = [];
        answer.on('data', (piece) => pieces.push(piece));
        answer.on('error', none);
        answer.on('end', () => resolve({
          status: answer.statusCode,
          headers: answer.headers,
          cookies: answer.headers['set-cookie'] ?? [],
          text: Buffer.concat(pieces).toString(),
        }));
      });
    } catch (error) {
      none(error);
      return;
    }
    request.setTimeout(30_000, () => request.destroy(new Error('no answer for 30 s')));
    request.on('error', none);
    request.end(body);
  });
}

/** The `Cookie` header for what these `Set-Cookie` lines set, on top of `before`. */
export function cookieHeader(lines, before = '') {
  const jar = new Map(before.split('; ').filter(Boolean).map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
  for (const line of lines) {
    const [name, value] = line.split(';')[0].split(/=(.*)/s);
    if (value === undefined || value === '' || value === 'deleted' || /;\s*max-age=0\b/i.test(line)) jar.delete(name.trim());
    else jar.set(name.trim(), value);
  }
  return [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
}

export const urlencoded = (fields) => new URLSearchParams(fields).toString();

export function multipart(fields, boundary = 'xxportalxx', quote = '"') {
  const parts = Object.entries(fields).map(([name, value]) =>
    `--${boundary}\r\nContent-Disposition: form-data; name=${quote}${name}${quote}\r\n\r\n${value}\r\n`);
  return `${parts.join('')}--${boundary}--\r\n`;
}
