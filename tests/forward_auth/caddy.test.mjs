import path from 'node:path';
import { writeFileSync } from 'node:fs';

import { start } from '../portals/processes.mjs';
import { holds } from './checks.mjs';
import { HOST } from './wire.mjs';
import { shipped } from './world.mjs';

holds({
  name: 'caddy',
  description: 'x_forwarded',
  start(world) {
    const { folder, port } = world;
    const file = path.join(folder, 'Caddyfile');
    writeFileSync(file, shipped('Caddyfile', [
      [`https://${HOST}:443`, world.origin],
      ['bind 0.0.0.0', 'bind 127.0.0.1'],
      ['/etc/anteport/', `${folder}/`],
      ['127.0.0.1:8080', `127.0.0.1:${world.anteport}`],
      ['127.0.0.1:3000', `127.0.0.1:${world.portal}`],
      [`Host ${HOST}`, `Host ${HOST}:${port}`],
    ]));
    const env = { XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder, HOME: folder };
    return start('caddy', 'caddy', ['run', '--adapter', 'caddyfile', '--config', file], { port, env });
  },
});
