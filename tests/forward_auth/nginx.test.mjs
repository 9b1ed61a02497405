import path from 'node:path';
import { writeFileSync } from 'node:fs';

import { start } from '../portals/processes.mjs';
import { holds } from './checks.mjs';
import { HOST } from './wire.mjs';
import { shipped } from './world.mjs';

holds({
  name: 'nginx',
  description: 'x_original',
  inside: ['/anteport-verify', '/anteport%2dverify', '/x/../anteport-verify'],
  start(world) {
    const { folder, port } = world;
    const file = path.join(folder, 'nginx.conf');
    const text = shipped('nginx.conf', [
      ['0.0.0.0:443', `127.0.0.1:${port}`],
      ['/etc/anteport/', `${folder}/`],
      ['127.0.0.1:8080', `127.0.0.1:${world.anteport}`],
      ['127.0.0.1:3000', `127.0.0.1:${world.portal}`],
      [`https://${HOST}`, world.origin],
      [`Host ${HOST}`, `Host ${HOST}:${port}`],
    ]);
    // Where it writes: beside this file, and nothing of the system's.
    const own = `daemon off; pid ${folder}/pid; error_log ${folder}/error.log; ${process.getuid() === 0 ? 'user root;' : ''}`;
    const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/${kind};`);
    writeFileSync(file, `${own}\n${text.replace('http {', `http { access_log off; ${places.join(' ')}`)}`);
    return start('nginx', 'nginx', ['-p', folder, '-c', file], { port });
  },
});
