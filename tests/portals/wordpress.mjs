// WordPress of Debian behind Apache: `wp-login.php`, XML-RPC, the REST interface with application passwords, the letters
// that reset a password, registration.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { urlencoded } from './http.mjs';
import { place, run } from './processes.mjs';
import { DATABASE_PASSWORD, SOCKET, giveToApache, sql } from './servers.mjs';

const PASSWORD = 'mainsail-and-jib-7';
const root = path.join(place, 'wordpress');
let secrets;

const LOGIN = { log: 'clerk', pwd: PASSWORD, 'wp-submit': 'Log In', testcookie: '1' };
const TEST_COOKIE = 'wordpress_test_cookie=WP%20Cookie%20check';
const basic = (word) => `Basic ${Buffer.from(`clerk:${word}`).toString('base64')}`;
const call = (method, ...strings) => `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>${
  strings.map((text) => `<param><value><string>${text}</string></value></param>`).join('')}</params></methodCall>`;

export default {
  name: 'wordpress',
  database: 'wordpress',
  site: { root },

  async prepare() {
    await run('cp', ['-rL', '/usr/share/wordpress', root]);
    writeFileSync(path.join(root, 'wp-config.php'), `<?php
$here = 'http://' . ($_SERVER['HTTP_HOST'] ?? '127.0.0.1');
define('WP_HOME', $here);
define('WP_SITEURL', $here);
define('DB_NAME', 'wordpress');
define('DB_USER', 'wordpress');
define('DB_PASSWORD', '${DATABASE_PASSWORD}');
define('DB_HOST', 'localhost:${SOCKET}');
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $name) {
    define("{$name}_KEY", "throwaway $name key");
    define("{$name}_SALT", "throwaway $name salt");
}
// The cookies have one name, whatever port is in the address.
define('COOKIEHASH', 'portal');
// Application passwords without TLS.
define('WP_ENVIRONMENT_TYPE', 'local');
define('DISABLE_WP_CRON', true);
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
$table_prefix = 'wp_';
defined('ABSPATH') || define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
`);
    writeFileSync(path.join(root, '.htaccess'), `RewriteEngine On
RewriteRule .* - [E=HTTP_AUTHORIZATION:%{HTTP:Authorization}]
RewriteRule ^index\\.php$ - [L]
RewriteCond %{REQUEST_FILENAME} !-f
RewriteCond %{REQUEST_FILENAME} !-d
RewriteRule . /index.php [L]
`);
    await this.again();
    await giveToApache(root);
  },

  async again() {
    const script = fileURLToPath(new URL('wordpress.php', import.meta.url));
    const { stdout } = await run('php', ['-d', 'sendmail_path=/bin/true', script, root, PASSWORD]);
    secrets = { ...secrets, ...JSON.parse(stdout.slice(stdout.lastIndexOf('{'))) };
  },

  /** Whether somebody with these cookies is the local user, as the portal itself says. */
  member: { target: '/wp-admin/profile.php' },
  shows: (answer) => /clerk@harborclub\.example|<name>isAdmin<\/name><value><boolean>1/.test(answer.text),
  state: () => sql('SELECT user_login, user_pass, user_activation_key, user_email FROM wp_users ORDER BY ID', 'wordpress'),

  entrances: () => [
    { name: 'login', path: '/wp-login.php', fields: LOGIN, cookie: TEST_COOKIE },
    {
      name: 'login under the action of a page password',
      path: '/wp-login.php',
      query: 'action=postpass',
      fields: { action: 'login', ...LOGIN },
      cookie: TEST_COOKIE,
      more: [
        { target: '/wp-login.php?action[]=postpass', fields: LOGIN },
        { target: '/wp-login.php?action=logout', fields: { ...LOGIN, action: 'entrance' } },
        { target: '/wp-login.php?action=postpass', body: `action%5B%5D=postpass&${urlencoded(LOGIN)}` },
        { target: '/wp-login.php', body: `action=postpass&action=login&${urlencoded(LOGIN)}` },
        { target: '/wp-login.php', body: `action=postpass&+action=login&${urlencoded(LOGIN)}` },
        { target: '/wp-login.php', body: `action=postpass&action%00x=login&${urlencoded(LOGIN)}` },
        { target: '/wp-login.php?action=%70ostpass', body: `%61ction=x&${urlencoded(LOGIN)}` },
        { target: '/wp-login.php?action=POSTPASS', body: urlencoded(LOGIN) },
        { target: '/wp-login.php?action=postpass%00', body: urlencoded(LOGIN) },
        { target: '/wp-login.php?action=postpass%20', body: urlencoded(LOGIN) },
      ],
    },
    {
      name: 'registration',
      path: '/wp-login.php',
      query: 'action=register',
      fields: (number) => ({ user_login: `mallory${number}`, user_email: `mallory${number}@harborclub.example` }),
      effect: 'state',
    },
    {
      name: 'a new password with the key of a letter',
      path: '/wp-login.php',
      query: 'action=resetpass',
      fields: { pass1: PASSWORD, pass2: PASSWORD, rp_key: secrets.key },
      cookie: `wp-resetpass-portal=${encodeURIComponent(`clerk:${secrets.key}`)}`,
      effect: 'state',
      // A key in the query makes a reset of any action.
      more: [{ target: '/wp-login.php?key=x', fields: { action: 'postpass', pass1: PASSWORD, pass2: PASSWORD, rp_key: secrets.key } }],
      // It works once.
      once: true,
    },
    {
      name: 'password reset by letter',
      path: '/wp-login.php',
      query: 'action=lostpassword',
      fields: { user_login: 'clerk' },
      effect: 'state',
    },
    {
      name: 'XML-RPC',
      path: '/xmlrpc.php',
      type: 'text/xml',
      body: call('wp.getUsersBlogs', 'clerk', PASSWORD),
      effect: 'shows',
      more: [
        {
          target: '/xmlrpc.php',
          type: 'application/x-www-form-urlencoded',
          body: call('wp.getUsersBlogs', 'clerk', PASSWORD),
        },
        { target: '/xmlrpc.php', type: 'text/xml', body: call('wp.getProfile', '1', 'clerk', secrets.application) },
      ],
    },
    {
      name: 'application password',
      method: 'GET',
      path: '/wp-json/wp/v2/users/me',
      query: 'context=edit',
      headers: { authorization: basic(secrets.application) },
      effect: 'shows',
      more: [
        { target: '/?rest_route=/wp/v2/users/me&context=edit' },
        { target: '/index.php/wp-json/wp/v2/users/me?context=edit' },
        { target: '/?rest_route=/wp/v2/users/me&context=edit', headers: { authorization: basic(secrets.application).replace('Basic', 'bAsIC') } },
        { target: '/?rest_route=/wp/v2/users/me&context=edit', headers: { authorization: basic(secrets.application).replace(' ', '   ') } },
        { target: '/?rest_route=/wp/v2/users/me&context=edit', headers: { authorization: ['x', basic(secrets.application)] } },
        { target: '/?rest_route=/wp/v2/users/me&context=edit', headers: { redirect_http_authorization: basic(secrets.application) } },
      ],
    },
  ],

  work: () => [
    { name: 'front page', target: '/', shows: 'Harbor club' },
    { name: 'a post', target: '/hello-world/', shows: 'Hello world' },
    { name: 'search', target: '/?s=hello', shows: 'Hello world' },
    { name: 'style sheet', target: '/wp-includes/css/dist/block-library/style.min.css', shows: 'wp-block' },
    { name: 'script', target: '/wp-includes/js/jquery/jquery.min.js?ver=3', shows: 'jQuery' },
    { name: 'REST read', target: '/wp-json/wp/v2/posts', shows: '"slug":"hello-world"' },
    { name: 'REST read by query', target: '/?rest_route=/wp/v2/posts', shows: '"slug":"hello-world"' },
    { name: 'feed', target: '/feed/', shows: '<rss' },
    {
      name: 'comment',
      method: 'POST',
      target: '/wp-comments-post.php',
      fields: { comment: 'Fair wind', author: 'Ann', email: 'ann@harborclub.example', comment_post_ID: '1', comment_parent: '0' },
      status: 302,
    },
    { name: 'page password', method: 'POST', target: '/wp-login.php?action=postpass', fields: { post_password: 'seagull' }, cookie: 'wp-postpass_' },
    { name: 'logout link', target: '/wp-login.php?action=logout', status: 403 },
    { name: 'AJAX for everybody', method: 'POST', target: '/wp-admin/admin-ajax.php', fields: { action: 'heartbeat' }, status: 200 },
  ],
};
