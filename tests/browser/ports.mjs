// Free ports in a row. `node ports.mjs COUNT` prints the first.
import net from 'node:net';
import { fileURLToPath } from 'node:url';

const listening = (port) =>
  new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(null));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });

/** The first of `count` free ports of the loopback address, found by binding all of them. */
export async function freePorts(count) {
  for (let tries = 0; tries < 200; tries += 1) {
    // Below the range that the system hands out to connections by itself.
    const first = 10_000 + Math.floor(Math.random() * 20_000);
    const servers = [];
    for (let port = first; port < first + count; port += 1) servers.push(await listening(port));
    await Promise.all(servers.map((server) => server && new Promise((done) => server.close(done))));
    if (servers.every(Boolean)) return first;
  }
  throw new Error(`no ${count} free ports in a row`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(await freePorts(Number(process.argv[2] ?? 1)));
}
