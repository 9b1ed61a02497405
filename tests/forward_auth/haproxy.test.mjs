import path from 'node:path';
import { writeFileSync } from 'node:fs';

import { start } from '../portals/processes.mjs';
import { holds } from './checks.mjs';
import { HOST } from './wire.mjs';
import { SHIPPED, shipped } from './world.mjs';

holds({
  name: 'haproxy',
  description: 'x_original',
  start(world) {
    const { folder, port } = world;
    const file = path.join(folder, 'haproxy.cfg');
    writeFileSync(file, shipped('haproxy.cfg', [
      ['0.0.0.0:443', `127.0.0.1:${port}`],
      ['/etc/anteport/', `${folder}/`],
      ['/etc/haproxy/', SHIPPED],
      ['127.0.0.1:8080', `127.0.0.1:${world.anteport}`],
      ['127.0.0.1:3000', `127.0.0.1:${world.portal}`],
      [`https://${HOST}`, world.origin],
      [`Host ${HOST}`, `Host ${HOST}:${port}`],
    ]));
    return start('haproxy', 'haproxy', ['-db', '-f', file], { port });
  },
});
