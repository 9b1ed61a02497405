// MediaWiki of Debian behind Apache: special pages in every spelling that a title can have, and `api.php`.
import { writeFileSync } from 'node:fs';
import path from 'node:path';

import { ask, cookieHeader, urlencoded } from './http.mjs';
import { place, run } from './processes.mjs';
import { DATABASE_PASSWORD, SOCKET, giveToApache, sql } from './servers.mjs';

const PASSWORD = 'mainsail-and-jib-7';
const HOME = '/usr/share/mediawiki';
const conf = path.join(place, 'mediawiki');
const FORM = 'application/x-www-form-urlencoded';
let url;

const login = () => ({ wpName: 'Clerk', wpPassword: PASSWORD, wpLoginToken: 'LOGINTOKEN', authAction: 'login', wploginattempt: 'Log in' });
const titled = (title) => `title=${title}`;
const clientLogin = () => ({
  action: 'clientlogin', format: 'json', username: 'Clerk', password: PASSWORD, logintoken: 'LOGINTOKEN', loginreturnurl: 'http://127.0.0.1/',
});

export default {
  name: 'mediawiki',
  database: 'mediawiki',
  site: { root: HOME, directives: `SetEnv MW_CONFIG_FILE ${conf}/LocalSettings.php\n  php_admin_value auto_prepend_file ${conf}/prepend.php\n  Alias /wiki ${HOME}/index.php` },

  async prepare(port) {
    url = `http://127.0.0.1:${port}`;
    await run('mkdir', ['-p', `${conf}/cache`, `${conf}/images`]);
    writeFileSync(`${conf}/prepend.php`, `<?php define('MW_CONFIG_FILE', '${conf}/LocalSettings.php');\n`);
    await run('php', [
      `${HOME}/maintenance/install.php`, `--confpath=${conf}`, '--dbtype=mysql', `--dbserver=localhost:${SOCKET}`, '--dbname=mediawiki',
      '--dbuser=mediawiki', `--dbpass=${DATABASE_PASSWORD}`, '--scriptpath=', '--server=http://127.0.0.1', `--pass=${PASSWORD}`, 'Harbor club', 'Clerk',
    ], { env: { ...process.env, MW_CONFIG_FILE: `${conf}/none.php` } });
    const settings = await run('cat', [`${conf}/LocalSettings.php`]);
    writeFileSync(`${conf}/LocalSettings.php`, `${settings.stdout}
$wgServer = 'http://' . ($_SERVER['HTTP_HOST'] ?? '127.0.0.1');
$wgArticlePath = '/wiki/$1';
$wgUsePathInfo = true;
$wgCacheDirectory = '${conf}/cache';
$wgUploadDirectory = '${conf}/images';
$wgMainCacheType = CACHE_DB;
$wgSessionCacheType = CACHE_DB;
$wgPasswordAttemptThrottle = [];
$wgRateLimits = [];
$wgAccountCreationThrottle = 0;
$wgEnableBotPasswords = true;
$wgEnableEmail = true;
$wgJobRunRate = 0;
$wgLanguageCode = 'en';
$wgPasswordDefault = 'A';
$wgPasswordConfig['A'] = ['class' => 'MWSaltedPassword'];
`);
    await giveToApache(conf);
  },

  /** Form and API want a token of a session; both are had without a password, perhaps before the gate was there. */
  async newSession() {
    const answer = await ask(url, { target: '/api.php?action=query&meta=tokens&type=login%7Ccreateaccount&format=json' });
    const { logintoken, createaccounttoken } = JSON.parse(answer.text).query.tokens;
    return { SESSION: cookieHeader(answer.cookies), LOGINTOKEN: logintoken, CREATETOKEN: createaccounttoken };
  },

  member: { target: '/api.php?action=query&meta=userinfo&format=json' },
  shows: (answer) => /"name":"Clerk"|"result":"Success","lgusername"|"status":"PASS"/.test(answer.text),
  state: () => sql('SELECT user_name, HEX(user_password), HEX(user_newpassword), HEX(user_email) FROM user ORDER BY user_id', 'mediawiki'),

  entrances: () => [
    {
      name: 'login',
      path: '/index.php',
      query: titled('Special:UserLogin'),
      fields: login(),
      cookie: 'SESSION',
      more: [
        ...[
          'Special:Login', 'special:userlogin', 'SPECIAL:USERLOGIN', 'Special:User%20Login', 'Special:_UserLogin', 'Special:%20UserLogin', '_Special_:_UserLogin_',
          ':Special:UserLogin', '%3aSpecial%3aUserLogin', 'Special:UserLogin/signup', 'Special:UserLogin/x', 'Special:User%E2%80%8ELogin', 'Special:UserLogin%E2%80%8F',
          'Special:User%C2%ADLogin', 'Special:UserLogin%23x', 'Special%3AUserLogin%26x', '%E2%80%8FSpecial:Userlogin', 'Special:%E2%80%83UserLogin', 'Special:Userlogin%00',
          'Special:MyLanguage/Special:UserLogin', 'Project:x&title=Special:UserLogin', 'Special:CreateAccount',
        ].map((title) => ({ target: `/index.php?${titled(title)}` })),
        ...['/index.php/Special:UserLogin', '/index.php/special:userlogin', '/index.php/Special:Login', '/wiki/Special:UserLogin', '/wiki/Special:User_Login',
          '/wiki/Special:UserLogin/x', '/index.php/Special%3AUserLogin', '/wiki/Special:%C2%A0UserLogin', '/wiki/:Special:UserLogin', '/wiki/_Special:UserLogin',
          '/WIKI/Special:UserLogin', '/wiki?title=Special:UserLogin', '/?title=Special:UserLogin', '/index.php?%74itle=Special:UserLogin', '/index.php?%20title=Special:UserLogin',
          '/index.php?title=Main_Page&title=Special:UserLogin', '/index.php?title%00x=Special:UserLogin', '/index.php/Main_Page?title=Special:UserLogin'].map((target) => ({ target })),
        { target: '/index.php', fields: { ...login(), title: 'Special:UserLogin' } },
        { target: '/index.php?title=Main_Page', fields: { ...login(), title: 'Special:UserLogin' } },
        { target: '/index.php?title=Main_Page&action=submit', fields: { ...login(), title: 'Special:UserLogin' } },
        { target: '/wiki/Main_Page', fields: { ...login(), title: 'Special:UserLogin' } },
        { target: '/', fields: { ...login(), title: 'Special:UserLogin' } },
        { target: '/index.php', body: `+title=Special:UserLogin&${urlencoded(login())}` },
      ],
    },
    {
      name: 'API client login',
      path: '/api.php',
      fields: clientLogin(),
      cookie: 'SESSION',
      more: [
        { target: '/api.php?action=clientlogin', body: urlencoded({ ...clientLogin(), action: 'query' }) },
        { target: '/api.php?action=query', fields: clientLogin() },
        { target: '/api.php?action=clientlogin', fields: { ...clientLogin(), action: undefined } },
        { target: '/api.php', type: FORM, body: `%20action=clientlogin&${urlencoded({ ...clientLogin(), action: 'query' }).replace('action=query&', '')}` },
        { target: '/api.php', fields: { ...clientLogin(), action: ' clientlogin' } },
        { target: '/api.php', fields: { ...clientLogin(), action: 'clientlogin|query' } },
        { target: '/api.php', fields: { ...clientLogin(), action: '\u001fclientlogin' } },
      ],
    },
    {
      name: 'API login',
      path: '/api.php',
      query: 'format=json',
      fields: { action: 'login', lgname: 'Clerk', lgpassword: PASSWORD, lgtoken: 'LOGINTOKEN' },
      cookie: 'SESSION',
    },
    {
      name: 'registration',
      path: '/api.php',
      fields: (number) => ({
        action: 'createaccount', format: 'json', username: `Mallory${number}`, password: PASSWORD, retype: PASSWORD, createreturnurl: 'http://127.0.0.1/', createtoken: 'CREATETOKEN',
      }),
      cookie: 'SESSION',
      effect: 'state',
    },
  ],

  work: () => [
    { name: 'front page', target: '/wiki/Main_Page', shows: 'Harbor club' },
    { name: 'search', target: '/index.php?search=MediaWiki', status: 200 },
    { name: 'recent changes', target: '/wiki/Special:RecentChanges', shows: 'Recent changes' },
    { name: 'style sheet', target: '/load.php?lang=en&modules=site.styles&only=styles', status: 200 },
    { name: 'API read', target: '/api.php?action=query&list=allpages&format=json', shows: 'Main Page' },
    { name: 'REST read', target: '/rest.php/v1/page/Main_Page', shows: 'Main Page' },
    {
      name: 'edit',
      steps: async (as) => {
        const page = await as({ target: '/index.php?title=Log&action=edit' });
        const fields = {};
        const form = page.text.slice(page.text.indexOf('id="editform"')).split('</form>')[0];
        for (const [input] of form.matchAll(/<input[^>]*type="?'?hidden[^>]*>/g)) {
          const name = /name=["']([^"']+)/.exec(input)?.[1];
          if (name) fields[name] = (/value=["']([^"']*)/.exec(input)?.[1] ?? '').replaceAll('&quot;', '"');
        }
        const saved = await as({
          method: 'POST',
          target: '/index.php?title=Log&action=submit',
          fields: { ...fields, wpTextbox1: `Moored at dawn. ${'All is well. '.repeat(1000)}`, wpSummary: '', wpSave: 'Save page' },
        });
        const read = await as({ target: '/wiki/Log' });
        return saved.status === 302 && read.text.includes('Moored at dawn');
      },
    },
    {
      name: 'edit by API',
      steps: async (as) => {
        const answer = await as({ method: 'POST', target: '/api.php', fields: { action: 'edit', title: 'Log', appendtext: ' Ready.', token: '+\\', format: 'json' } });
        return answer.text.includes('"result":"Success"');
      },
    },
  ],
};
