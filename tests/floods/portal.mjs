// The portal behind the gate: a page, a long answer, a door for bodies, and how many requests and connections there were.
// Prints its port.
import http from 'node:http';

const PAGE = Buffer.from('x'.repeat(1024));
const LONG = Buffer.alloc(1024 * 1024, 'y');

const counts = { requests: 0, connections: 0 };

const server = http.createServer((request, answer) => {
  if (request.url === '/counts') return answer.end(JSON.stringify(counts));
  counts.requests += 1;
  request.on('error', () => {});
  answer.on('error', () => {});
  if (request.method === 'POST') {
    // Somebody who waits for the whole body, as portals do.
    request.on('data', () => {});
    request.on('end', () => answer.end('thanks\n'));
    return undefined;
  }
  const body = request.url.startsWith('/long') ? LONG : PAGE;
  answer.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length });
  return answer.end(body);
});
server.on('connection', () => { counts.connections += 1; });
server.keepAliveTimeout = 120_000;
server.requestTimeout = 0;
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
