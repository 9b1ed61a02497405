// The servers under the portals: Debian's Apache with PHP in it, and MariaDB.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { place, run, start } from './processes.mjs';

const MODULES = '/usr/lib/apache2/modules';
export const IS_ROOT = process.getuid() === 0;
export const SOCKET = path.join(place, 'mariadb.sock');
export const DATABASE_PASSWORD = 'throwaway';

/** MariaDB on a socket only, with an empty database for each name. */
export async function mariadb(databases) {
  const data = path.join(place, 'mariadb');
  const whoever = IS_ROOT ? ['--user=root'] : [];
  await run('mariadb-install-db', ['--no-defaults', `--datadir=${data}`, '--skip-test-db', '--auth-root-authentication-method=normal', ...whoever]);
  await start('mariadb', 'mariadbd', [
    '--no-defaults', `--datadir=${data}`, `--socket=${SOCKET}`, '--skip-networking', `--pid-file=${place}/mariadb.pid`,
    '--innodb-flush-log-at-trx-commit=0', '--character-set-server=utf8mb4', ...whoever,
  ], { ready: () => existsSync(SOCKET) });
  for (const name of databases) {
    await sql(`CREATE DATABASE ${name}; CREATE USER ${name}@localhost IDENTIFIED BY '${DATABASE_PASSWORD}'; GRANT ALL ON ${name}.* TO ${name}@localhost`);
  }
}

/** What a query answers, as text. */
export async function sql(query, database = 'mysql') {
  const { stdout } = await run('mariadb', ['--no-defaults', `--socket=${SOCKET}`, '--user=root', '--batch', '--skip-column-names', database, '--execute', query]);
  return stdout;
}

/** Gives what is in the folder to whom Apache runs as. */
export async function giveToApache(folder) {
  if (IS_ROOT) await run('chown', ['-R', 'www-data:www-data', folder]);
}

/** One Apache for all sites, each on its own port: `{ port, root, directives }`. */
export async function apache(sites) {
  const php = readdirSync(MODULES).find((name) => /^libphp[\d.]*\.so$/.test(name));
  if (!php) throw new Error(`no PHP for Apache in ${MODULES}`);
  const modules = ['authz_core', 'authz_host', 'access_compat', 'dir', 'mime', 'alias', 'rewrite', 'env', 'setenvif', 'mpm_prefork']
    .map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`);
  const root = path.join(place, 'apache');
  mkdirSync(root);
  const config = path.join(root, 'apache.conf');
  writeFileSync(config, `
ServerRoot ${root}
ServerName 127.0.0.1
PidFile ${root}/pid
ErrorLog ${root}/error.log
${IS_ROOT ? 'User www-data\nGroup www-data' : ''}
${modules.join('\n')}
LoadModule php_module ${MODULES}/${php}
TypesConfig /etc/mime.types
StartServers 4
<FilesMatch "\\.ph(ar|p|tml)$">
  SetHandler application/x-httpd-php
</FilesMatch>
DirectoryIndex index.php index.html
php_admin_value sendmail_path /bin/true
php_admin_value session.save_path ${root}
<Directory />
  Options FollowSymLinks
  AllowOverride None
  Require all denied
</Directory>
${sites.map(({ port, root: folder, directives = '' }) => `
Listen 127.0.0.1:${port}
<VirtualHost 127.0.0.1:${port}>
  DocumentRoot ${folder}
  <Directory ${folder}>
    AllowOverride All
    Require all granted
  </Directory>
  ${directives}
</VirtualHost>`).join('\n')}
`);
  await giveToApache(root);
  await start('apache', 'apache2', ['-d', root, '-f', config, '-DFOREGROUND'], { port: sites[0].port });
}
