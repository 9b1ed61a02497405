import path from 'node:path';
import { writeFileSync } from 'node:fs';

import { start } from '../portals/processes.mjs';
import { holds } from './checks.mjs';
import { HOST } from './wire.mjs';
import { shipped } from './world.mjs';

const MODULES = ['mpm_event', 'authz_core', 'env', 'headers', 'lua', 'proxy', 'proxy_http', 'ssl', 'socache_shmcb'];

holds({
  name: 'apache',
  description: 'x_original',
  start(world) {
    const { folder, port } = world;
    const [file, script] = [path.join(folder, 'apache.conf'), path.join(folder, 'anteport.lua')];
    writeFileSync(script, shipped('apache.lua', [
      [`https://${HOST}`, world.origin],
      ['port = 8080', `port = ${world.anteport}`],
      ['127.0.0.1:3000', `127.0.0.1:${world.portal}`],
    ]));
    const text = shipped('apache.conf', [
      ['0.0.0.0:443', `127.0.0.1:${port}`],
      ['*:443', `127.0.0.1:${port}`],
      ['/etc/anteport/', `${folder}/`],
      ['/etc/apache2/anteport.lua', script],
      ['127.0.0.1:8080', `127.0.0.1:${world.anteport}`],
      ['127.0.0.1:3000', `127.0.0.1:${world.portal}`],
    ]);
    // What Debian's own configuration has around it.
    const user = process.getuid() === 0 ? 'User www-data\nGroup www-data\n' : '';
    writeFileSync(file, `${MODULES.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so\n`).join('')}
ServerRoot ${folder}
PidFile ${folder}/pid
ErrorLog ${folder}/error.log
DefaultRuntimeDir ${folder}
Mutex pthread default
${user}<Directory />
  Require all denied
</Directory>
${text}`);
    return start('apache', 'apache2', ['-X', '-f', file], { port });
  },
});
