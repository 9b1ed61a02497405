// Django of PyPI under gunicorn: the administration, and the login, reset and change of a password that
// `django.contrib.auth.urls` brings.
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { ask } from './http.mjs';
import { place, run, start } from './processes.mjs';

const PASSWORD = 'mainsail-and-jib-7';
const SITE = fileURLToPath(new URL('.', import.meta.url));
const bin = (name) => fileURLToPath(new URL(`../.partners/django/bin/${name}`, import.meta.url));
const database = path.join(place, 'django.sqlite3');
const env = { ANTEPORT_DATABASE: database, ANTEPORT_PASSWORD: PASSWORD, PYTHONDONTWRITEBYTECODE: '1' };

// Any token does that is the same in cookie and form: this one an attacker makes up.
const TOKEN = 'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7aB3dE';
const CSRF = { csrfmiddlewaretoken: TOKEN };
const cookie = `csrftoken=${TOKEN}`;
const LOGIN = { ...CSRF, username: 'clerk', password: PASSWORD, next: '/admin/' };
const basic = `Basic ${Buffer.from(`clerk:${PASSWORD}`).toString('base64')}`;

export default {
  name: 'django',

  async prepare(port) {
    await run(bin('python'), [path.join(SITE, 'django_site.py'), 'fill'], { env: { ...process.env, ...env } });
    const url = `http://127.0.0.1:${port}`;
    this.url = url;
    await start('django', bin('gunicorn'), ['--chdir', SITE, '--bind', `127.0.0.1:${port}`, '--workers', '2', '--worker-tmp-dir', place, 'django_site:application'], {
      env,
      ready: async () => (await ask(url, { target: '/' })).status === 200,
    });
  },

  member: { target: '/whoami/' },
  shows: (answer) => /you are clerk|Site administration/i.test(answer.text),
  async state() {
    return (await ask(this.url, { target: '/state/' })).text;
  },

  entrances: () => [
    { name: 'administration', path: '/admin/login/', fields: LOGIN, cookie, more: [{ target: '/admin/login/?next=/admin/login/' }, { target: '/admin/login' }] },
    { name: 'login', path: '/accounts/login/', fields: LOGIN, cookie, more: [{ target: '/en/accounts/login/' }, { target: '/pt-br/accounts/login/' }] },
    { name: 'token', path: '/api/token/', body: JSON.stringify({ username: 'clerk', password: PASSWORD }), type: 'application/json', effect: 'shows' },
    { name: 'password reset by letter', path: '/accounts/password_reset/', fields: { ...CSRF, email: 'clerk@harborclub.example' }, cookie, effect: 'state' },
    {
      name: 'registration',
      path: '/accounts/signup/',
      fields: (number) => ({ ...CSRF, username: `mallory${number}`, password1: PASSWORD, password2: PASSWORD }),
      cookie,
      effect: 'state',
    },
    { name: 'Basic', method: 'GET', path: '/basic/', headers: { authorization: basic }, effect: 'shows' },
  ],

  work: () => [
    { name: 'front page', target: '/', shows: 'Harbor club' },
    { name: 'a page', target: '/berths/7/', shows: 'Berth 7' },
    { name: 'search', target: '/berths/?q=free', shows: 'You looked for free' },
    { name: 'style sheet', target: '/static/admin/css/base.css', shows: 'DJANGO' },
    { name: 'REST read', target: '/api/berths/', shows: '"berth"' },
    {
      name: 'a form',
      steps: async (ask) => {
        const page = await ask({ target: '/berths/' });
        const token = /name="csrfmiddlewaretoken" value="([^"]+)"/.exec(page.text)?.[1];
        const answer = await ask({ method: 'POST', target: '/berths/', fields: { csrfmiddlewaretoken: token, wish: 'near the crane' } });
        return answer.status === 200 && answer.text.includes('near the crane');
      },
    },
  ],
};
