// Envoy itself, as a file of deploy/forward-auth configures it.
import path from 'node:path';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { start } from '../portals/processes.mjs';
import { HOST } from './wire.mjs';
import { shipped } from './world.mjs';

const ENVOY = fileURLToPath(new URL('../.partners/gateways/bin/envoy', import.meta.url));

/** Paths that are tidied up before anybody is asked, and mean another place then. */
export const TIDIES = { '/log\\..\\in': '/in', '/public//reports': '/public/reports' };

export const MAKES = { '/a\\b': '/a/b', '/reports/.': '/reports/', '/reports?a=1;b=2': '/reports?a=1;b=2' };

/** Says how Envoy is started with this file, whose addresses are replaced by these, too. */
export const envoy = (name, more = () => []) => (world) => {
  const { folder, port } = world;
  const file = path.join(folder, name);
  writeFileSync(file, shipped(name, [
    ['address: 0.0.0.0, port_value: 443', `address: 127.0.0.1, port_value: ${port}`],
    [`${HOST}:443`, `${HOST}:${port}`],
    ['/etc/anteport/', `${folder}/`],
    ['port_value: 8080', `port_value: ${world.anteport}`],
    ['port_value: 3000', `port_value: ${world.portal}`],
    ...more(world),
  ]));
  // Two of them run side by side, and neither is to be replaced without a break.
  return start(world.front.name, ENVOY, ['-c', file, '--disable-hot-restart', '--concurrency', '1', '--log-level', 'warning'], { port });
};
