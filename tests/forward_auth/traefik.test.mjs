import path from 'node:path';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { start } from '../portals/processes.mjs';
import { holds } from './checks.mjs';
import { ask } from './wire.mjs';
import { shipped } from './world.mjs';

const TRAEFIK = fileURLToPath(new URL('../.partners/gateways/bin/traefik', import.meta.url));

holds({
  name: 'traefik',
  description: 'x_forwarded',
  tidies: { '/public//reports': '/public/reports' },
  makes: { '/a\\b': '', '/reports/.': '/reports', '/caf%c3%a9': '/caf%C3%A9', '/reports?a=1;b=2': '/reports?a=1&b=2' },
  // A question may take 30 s.
  patience: 40_000,
  http2: true,
  renews: true,
  start(world) {
    const { folder, port } = world;
    const [file, dynamic] = ['traefik-static.yaml', 'traefik.yaml'].map((name) => path.join(folder, name));
    writeFileSync(dynamic, shipped('traefik.yaml', [
      ['/etc/anteport/', `${folder}/`],
      ['127.0.0.1:8080', `127.0.0.1:${world.anteport}`],
      ['127.0.0.1:3000', `127.0.0.1:${world.portal}`],
    ]));
    writeFileSync(file, shipped('traefik-static.yaml', [
      ['0.0.0.0:443', `127.0.0.1:${port}`],
      ['/etc/traefik/anteport.yaml', dynamic],
    ]));
    // It listens before it knows whom it is there for.
    const ready = async () => (await ask(port, '/.auth/verify').catch(() => undefined))?.status === 403;
    return start('traefik', TRAEFIK, [`--configFile=${file}`], { ready });
  },
});
