// DokuWiki of Debian behind Apache: any page takes `u` and `p`, from wherever PHP finds them; any page takes Basic.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { multipart, urlencoded } from './http.mjs';
import { place, run } from './processes.mjs';
import { giveToApache } from './servers.mjs';

const PASSWORD = 'mainsail-and-jib-7';
const root = path.join(place, 'dokuwiki');
const conf = path.join(place, 'dokuwiki-conf');
const data = path.join(place, 'dokuwiki-data');

const LOGIN = { u: 'clerk', p: PASSWORD };
const HASH = Buffer.from(`clerk:${PASSWORD}`).toString('base64');
const form = 'application/x-www-form-urlencoded';
const doku = (type, body, more = {}) => ({ target: '/doku.php', type, body, ...more });
const bare = `<?xml version="1.0"?><methodCall><methodName>dokuwiki.login</methodName><params><param><value><string>clerk</string></value></param><param><value><string>${PASSWORD}</string></value></param></params></methodCall>`;

export default {
  name: 'dokuwiki',
  site: { root, directives: `<DirectoryMatch "^${root}/(inc|bin|vendor)">\n    Require all denied\n  </DirectoryMatch>` },

  async prepare() {
    await run('cp', ['-rL', '/usr/share/dokuwiki', root]);
    cpSync('/etc/dokuwiki', conf, { recursive: true, dereference: true, filter: (name) => !/auth\.php$|local\.php$|htaccess$/.test(name) });
    for (const name of ['attic', 'cache', 'index', 'locks', 'log', 'media', 'media_attic', 'media_meta', 'meta', 'pages', 'tmp']) {
      mkdirSync(path.join(data, name), { recursive: true });
    }
    writeFileSync(path.join(data, 'pages', 'start.txt'), '====== Harbor club ======\nBerth seven is free.\n');
    const preload = path.join(root, 'inc', 'preload.php');
    const text = readFileSync(preload, 'utf8').replace('<?php', `<?php
define('DOKU_MAIN_CONF', '${conf}/');
define('DOKU_CONF', '${conf}/');`);
    writeFileSync(preload, text);
    writeFileSync(path.join(conf, 'local.php'), `<?php
$conf['title'] = 'Harbor club';
$conf['savedir'] = '${data}';
$conf['useacl'] = 1;
$conf['authtype'] = 'authplain';
$conf['superuser'] = '@admin';
$conf['userewrite'] = 2;
$conf['remote'] = 1;
$conf['remoteuser'] = '';
$conf['mailfrom'] = 'wiki@harborclub.example';
$conf['updatecheck'] = 0;
`);
    writeFileSync(path.join(conf, 'acl.auth.php'), '# <?php exit()?>\n*\t@ALL\t8\n');
    const { stdout: hash } = await run('php', ['-r', 'echo password_hash($argv[1], PASSWORD_BCRYPT, ["cost" => 4]);', PASSWORD]);
    writeFileSync(path.join(conf, 'users.auth.php'), `# <?php exit()?>\nclerk:${hash}:Clerk Harbor:clerk@harborclub.example:admin,user\n`);
    for (const folder of [root, conf, data]) await giveToApache(folder);
  },

  member: { target: '/doku.php?do=profile' },
  shows: (answer) => /clerk@harborclub\.example|<(?:b>)?bdi>Clerk Harbor|<boolean>1<\/boolean>/.test(answer.text),
  state: async () => readFileSync(path.join(conf, 'users.auth.php'), 'utf8'),

  entrances: () => [
    {
      name: 'login',
      path: '/doku.php',
      query: 'id=start',
      fields: { do: 'login', ...LOGIN },
      more: [
        { method: 'GET', target: `/doku.php?${urlencoded(LOGIN)}` },
        { method: 'HEAD', target: `/doku.php?${urlencoded(LOGIN)}` },
        { method: 'GET', target: `/doku.php/start?${urlencoded(LOGIN)}` },
        { method: 'GET', target: `/?${urlencoded(LOGIN)}` },
        { method: 'GET', target: `/feed.php?${urlencoded(LOGIN)}` },
        { method: 'GET', target: `/lib/exe/ajax.php?${urlencoded(LOGIN)}&call=qsearch` },
        { method: 'GET', target: `/lib/exe/mediamanager.php?${urlencoded(LOGIN)}` },
        { method: 'GET', target: `/lib/exe/detail.php?${urlencoded(LOGIN)}` },
        { method: 'GET', target: `/lib/exe/fetch.php?${urlencoded(LOGIN)}&media=x` },
        { method: 'GET', target: `/lib/exe/taskrunner.php?${urlencoded(LOGIN)}` },
        // What PHP takes for `u`.
        { method: 'GET', target: `/doku.php?%75=clerk&p=${PASSWORD}` },
        { method: 'GET', target: `/doku.php?%20u=clerk&p=${PASSWORD}` },
        { method: 'GET', target: `/doku.php?+u=clerk&p=${PASSWORD}` },
        { method: 'GET', target: `/doku.php?u%00x=clerk&p%00=${PASSWORD}` },
        { method: 'GET', target: `/doku.php?u=&u=clerk&p=${PASSWORD}` },
        { method: 'GET', target: `/doku.php?&&u=clerk&&p=${PASSWORD}` },
        { method: 'GET', target: `/doku.php??u=x&u=clerk&p=${PASSWORD}` },
        { target: `/doku.php?u=clerk`, body: urlencoded({ p: PASSWORD }) },
        { target: `/doku.php?p=${PASSWORD}`, body: 'u=clerk' },
        { target: `/doku.php?p=${PASSWORD}`, body: '+u=clerk' },
        { target: `/doku.php?p=${PASSWORD}`, body: '%00=&u%00=clerk' },
        { target: '/lib/exe/ajax.php', body: urlencoded({ call: 'qsearch', ...LOGIN }) },
        { target: '/lib/exe/js.php', body: urlencoded(LOGIN) },
        { target: '/feed.php', body: urlencoded(LOGIN) },
        { target: '/doku.php/any:page', body: urlencoded(LOGIN) },
        // What PHP takes for a form.
        doku('APPLICATION/X-WWW-FORM-URLENCODED', urlencoded(LOGIN)),
        doku(`${form};charset=utf-7`, urlencoded(LOGIN)),
        doku(`${form}, application/json`, urlencoded(LOGIN)),
        doku(`${form} application/json`, urlencoded(LOGIN)),
        doku([form, 'application/json'], urlencoded(LOGIN)),
        doku(['application/json', form], urlencoded(LOGIN)),
        doku('multipart/form-data; boundary=xxportalxx', multipart(LOGIN)),
        doku('Multipart/Form-Data; x=y; BOUNDARY="xxportalxx"', multipart(LOGIN)),
        doku('multipart/form-data, boundary=xxportalxx', multipart(LOGIN)),
        doku('multipart/form-data; xboundary=xxportalxx', multipart(LOGIN)),
        doku('multipart/form-data; boundary=other; boundary=xxportalxx', multipart(LOGIN)),
        doku('multipart/form-data; boundary=xxportalxx; boundary=other', multipart(LOGIN)),
        doku('multipart/form-data; boundary=xxportalxx', multipart(LOGIN, 'xxportalxx', '')),
        doku('multipart/form-data; boundary=xxportalxx', multipart(LOGIN, 'xxportalxx', "'")),
        doku('multipart/form-data; boundary=xxportalxx', multipart({ ' u': 'clerk', p: PASSWORD })),
        doku('multipart/form-data; boundary=xxportalxx', multipart(LOGIN).replaceAll('\r\n', '\n')),
        doku('multipart/form-data; boundary=xxportalxx', multipart(LOGIN).replaceAll('; name=', '; filename="" ; NAME=')),
        doku('multipart/form-data; boundary=xxportalxx', multipart(LOGIN).replaceAll('form-data; name=', 'form-data;\r\n name=')),
        doku('multipart/form-data; boundary=xxportalxx', multipart(LOGIN).replaceAll('; name=', '; name=x; name=')),
        doku('multipart/form-data; boundary=xxportalxx', multipart(LOGIN).slice(0, -4)),
        doku('multipart/form-data; boundary=xxportalxx', `${'x'.repeat(3000)}\r\n${multipart(LOGIN)}`),
        // Bodies that a gate may fail to read.
        doku(form, `filler=${'x'.repeat(3_000_000)}&${urlencoded(LOGIN)}`),
        doku(form, urlencoded(LOGIN), { headers: { 'transfer-encoding': 'chunked' } }),
        doku(form, urlencoded(LOGIN), { headers: { 'content-encoding': 'identity' } }),
        doku(form, urlencoded(LOGIN), { headers: { 'x-http-method-override': 'GET' } }),
        doku(form, urlencoded(LOGIN), { headers: { 'x-requested-with': 'XMLHttpRequest' } }),
      ],
    },
    {
      name: 'Authorization',
      method: 'GET',
      path: '/doku.php',
      headers: { authorization: `Basic ${HASH}` },
      effect: 'shows',
      more: [
        { method: 'GET', target: '/doku.php', headers: { authorization: `basic ${HASH}` } },
        { method: 'GET', target: '/feed.php', headers: { authorization: `Basic ${HASH}` } },
        // DokuWiki skips six characters, whatever they say.
        { method: 'GET', target: '/doku.php', headers: { authorization: `Token ${HASH}` } },
        { method: 'GET', target: '/doku.php', headers: { authorization: `Maybe,${HASH}` } },
      ],
    },
    {
      name: 'XML-RPC',
      path: '/lib/exe/xmlrpc.php',
      type: 'text/xml',
      body: bare,
    },
    {
      name: 'registration',
      path: '/doku.php',
      fields: (number) => ({
        do: 'register', save: '1', login: `mallory${number}`, fullname: 'Mallory', email: `m${number}@harborclub.example`,
      }),
      effect: 'state',
      more: [
        { fields: (number) => ({ 'do[register]': '1', save: '1', login: `mallory${number}`, fullname: 'M', email: `m${number}@harborclub.example` }), target: '/doku.php' },
        { fields: (number) => ({ save: '1', login: `mallory${number}`, fullname: 'M', email: `m${number}@harborclub.example` }), target: '/doku.php?do=Reg.ist-er' },
        { fields: (number) => ({ save: '1', login: `mallory${number}`, fullname: 'M', email: `m${number}@harborclub.example` }), target: '/doku.php', headers: { 'x-dokuwiki-do': 'register' } },
      ],
    },
  ],

  work: () => [
    { name: 'start page', target: '/doku.php', shows: 'Berth seven' },
    { name: 'page by path', target: '/doku.php/start', shows: 'Berth seven' },
    { name: 'search', target: '/doku.php?do=search&q=berth', shows: 'Search' },
    { name: 'style sheet', target: '/lib/exe/css.php?t=dokuwiki', shows: '.dokuwiki' },
    { name: 'script', target: '/lib/exe/js.php?t=dokuwiki', shows: 'jQuery' },
    { name: 'picture', target: '/lib/images/license/button/cc-by.png', status: 200 },
    { name: 'feed', target: '/feed.php', shows: '<rdf' },
    { name: 'AJAX search', method: 'POST', target: '/lib/exe/ajax.php', fields: { call: 'qsearch', q: 'start' }, status: 200 },
    {
      name: 'edit',
      steps: async (ask) => {
        const page = await ask({ target: '/doku.php?id=log&do=edit' });
        const field = (name) => new RegExp(`name="${name}" value="([^"]*)"`).exec(page.text)?.[1] ?? '';
        const fields = {
          sectok: field('sectok'), id: 'log', rev: '0', date: field('date'), prefix: '.', suffix: '', changecheck: field('changecheck'),
          target: 'section', wikitext: `Moored at dawn. ${'All is well. '.repeat(1000)}`, summary: '', 'do[save]': 'Save',
        };
        const cookie = page.cookies;
        const saved = await ask({ method: 'POST', target: '/doku.php?id=log&do=edit', fields, setCookies: cookie });
        const read = await ask({ target: '/doku.php?id=log' });
        return saved.status < 400 && read.text.includes('Moored at dawn');
      },
    },
  ],
};
