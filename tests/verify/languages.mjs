// The verifiers of deploy/verify, and the small portals that stand behind them: how each is built, how it judges the
// vectors, how it is served.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { place, run, start } from '../portals/processes.mjs';
import { ask } from './ask.mjs';

/** Another tree than this one, for whoever has copied the kit and changed something in it. */
const root = process.env.VERIFY_TREE ?? fileURLToPath(new URL('../../', import.meta.url));
const here = (name) => path.join(root, 'tests/verify', name);
const kit = (name) => path.join(root, 'deploy/verify', name);
const python = (name) => fileURLToPath(new URL(`../.partners/verify/bin/${name}`, import.meta.url));
const AUTHORITIES = '/etc/ssl/certs/ca-certificates.crt';
const JARS = '/usr/share/java';

export const VECTORS = kit('vectors.json');
export const README = readFileSync(kit('README.md'), 'utf8');
export const vectors = JSON.parse(readFileSync(VECTORS, 'utf8'));

/** The keys of the vectors as a file that an operator would put there. */
export const KEYS = path.join(place, 'keys.json');
writeFileSync(KEYS, JSON.stringify({ keys: vectors.keys }));

const env = (settings) => Object.fromEntries(Object.entries(settings).map(([name, value]) => [`ANTEPORT_${name.toUpperCase()}`, value]));
const quiet = { PYTHONDONTWRITEBYTECODE: '1' };
const larger = { maxBuffer: 16 << 20 };

/** A program that prints its judgement. */
async function judged(command, args, options) {
  const { stdout } = await run(command, args, { ...larger, ...options });
  return JSON.parse(stdout);
}

const node = {
  name: 'Node, Express',
  log: 'node',
  files: ['node/anteport.js', 'node/anteport-keys.js'],
  algorithms: ['ES256', 'EdDSA', 'RS256', 'HS256'],
  portal: 'portal.cjs',
  judge: () => judged('node', [here('portals/portal.cjs'), 'vectors', VECTORS, KEYS]),
  serve: (port, { issuer, audience, keys }) =>
    start('node', 'node', [here('portals/portal.cjs'), 'serve', port, issuer, audience, keys], { port }),
};

const php = {
  name: 'PHP',
  log: 'php',
  files: ['php/anteport.php', 'php/anteport-keys.php', 'php/anteport-cache.php', 'php/anteport-signature.php'],
  algorithms: ['ES256', 'EdDSA', 'HS256'],
  portal: 'portal.php',
  judge: () => judged('php', [here('portals/portal.php'), 'vectors', VECTORS, KEYS]),
  serve: (port, settings) => start('php', 'php', ['-S', `127.0.0.1:${port}`, here('portals/portal.php')], {
    port,
    env: { ...env({ ...settings, cache: path.join(place, 'php-keys.json') }), PHP_CLI_SERVER_WORKERS: '3' },
  }),
};

/** Two portals that differ in their framework have one verifier. */
const pythons = [['Python, WSGI', 'wsgi'], ['Python, Django', 'django']].map(([name, application]) => ({
  name,
  log: application,
  files: ['python/anteport.py', 'python/anteport_keys.py', 'python/anteport_django.py'],
  algorithms: ['ES256', 'EdDSA', 'RS256', 'HS256'],
  portal: 'portal.py',
  judge: () => judged(python('python'), [here('portals/portal.py'), 'vectors', VECTORS, KEYS], { env: { ...process.env, ...quiet } }),
  serve: (port, settings) => start(application, python('gunicorn'), [
    '--chdir', here('portals'), '--bind', `127.0.0.1:${port}`, '--worker-tmp-dir', place, `portal:${application}`,
  ], { port, env: { ...env(settings), ...quiet } }),
}));

const ruby = {
  name: 'Ruby, Rack',
  log: 'ruby',
  files: ['ruby/anteport.rb', 'ruby/anteport_keys.rb'],
  algorithms: ['ES256'],
  portal: 'portal.rb',
  judge: () => judged('ruby', [here('portals/portal.rb'), 'vectors', VECTORS, KEYS]),
  serve: (port, { issuer, audience, keys }) =>
    start('ruby', 'ruby', [here('portals/portal.rb'), 'serve', port, issuer, audience, keys], { port }),
};

const go = {
  name: 'Go',
  log: 'go',
  files: ['go/anteport.go', 'go/keys.go', 'go/read.go', 'go/handler.go'],
  algorithms: ['ES256'],
  portal: 'portal.go',
  async build() {
    const folder = path.join(place, 'go');
    mkdirSync(path.join(folder, 'anteport'), { recursive: true });
    await run('cp', [...this.files.map(kit), path.join(folder, 'anteport')]);
    await run('cp', [here('portals/portal.go'), folder]);
    writeFileSync(path.join(folder, 'go.mod'), 'module portal\n\ngo 1.19\n');
    await run('go', ['build', '-o', 'portal', '.'], { cwd: folder });
  },
  judge: () => judged(path.join(place, 'go/portal'), ['vectors', VECTORS, `file://${KEYS}`]),
  serve: (port, { issuer, audience, keys }) =>
    start('go', path.join(place, 'go/portal'), ['serve', port, issuer, audience, keys], { port }),
};

/** What a program of Tomcat and Jackson is compiled and run with. */
function classPath(folder) {
  const isWanted = (name) => /^(jackson-(annotations|core|databind)|tomcat10-[a-z-]+)\.jar$/.test(name);
  return [folder, ...readdirSync(JARS).filter(isWanted).map((name) => path.join(JARS, name))].join(':');
}

const java = {
  name: 'Java, servlet filter',
  log: 'java',
  files: ['java/AnteportFilter.java', 'java/AnteportVerifier.java', 'java/AnteportKeys.java', 'java/AnteportKeyReader.java'],
  algorithms: ['ES256'],
  portal: 'Portal.java',
  async build() {
    const folder = path.join(place, 'java');
    const old = path.join(folder, 'javax');
    mkdirSync(old, { recursive: true });
    const [filter, ...others] = this.files.map(kit);
    await run('javac', ['-d', folder, '-cp', classPath(folder), filter, ...others, here('portals/Portal.java')]);
    // As its first lines say it for a Tomcat before 10.
    writeFileSync(path.join(old, 'AnteportFilter.java'), readFileSync(filter, 'utf8').replaceAll('import jakarta.', 'import javax.'));
    const jars = `${JARS}/servlet-api.jar:${classPath(folder).replace(/[^:]*tomcat10[^:]*:?/g, '')}`;
    await run('javac', ['-d', old, '-cp', jars, path.join(old, 'AnteportFilter.java'), ...others]);
  },
  judge: () => judged('java', [...thisMachine(), 'Portal', 'vectors', VECTORS, `file://${KEYS}`]),
  serve: (port, { issuer, audience, keys }) =>
    start('java', 'java', [...thisMachine(), 'Portal', 'serve', port, issuer, audience, keys], { port }),
};

/** A Java that starts soon. */
function thisMachine() {
  return ['-XX:TieredStopAtLevel=1', '-Xmx256m', '-cp', classPath(path.join(place, 'java'))];
}

const nginx = {
  name: 'nginx, njs',
  files: ['nginx/anteport.js', 'nginx/anteport_verify.js', 'nginx/anteport.conf'],
  algorithms: ['ES256'],
  portal: 'nginx_vectors.js',
  async judge(port) {
    await this.serve(port, { issuer: 'none', audience: 'none', keys: 'http://127.0.0.1:1/' }, 'nginx-vectors');
    const { issuer, audience, now, cases, plain } = vectors;
    const query = new URLSearchParams({ issuer, audience, now }).toString().replaceAll('%3A', ':').replaceAll('%2F', '/');
    const judgement = { results: {}, plain: [] };
    const origin = `http://127.0.0.1:${port}`;
    for (const { name, algorithm, headers } of cases.filter((one) => this.algorithms.includes(one.algorithm))) {
      const answer = await ask(`${origin}/vector?${query}`, headers);
      // A header that nginx itself refuses gets 400.
      if (![200, 400].includes(answer.status)) throw new Error(`${name} (${algorithm}): nginx answers ${answer.status}`);
      judgement.results[name] = answer.status === 200 ? JSON.parse(answer.text) : null;
    }
    for (const { header } of plain) judgement.plain.push(JSON.parse((await ask(`${origin}/plain`, [['X-Plain', header]])).text));
    return judgement;
  },
  async serve(port, settings, name = `nginx-${port}`) {
    const { issuer, audience, keys, portal = 'http://127.0.0.1:1', resolver, authorities = AUTHORITIES } = settings;
    const folder = path.join(place, name);
    mkdirSync(folder);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${kind};`);
    writeFileSync(path.join(folder, 'nginx.conf'), `
load_module /usr/lib/nginx/modules/ngx_http_js_module.so;
daemon off;
pid nginx.pid;
${process.getuid() === 0 ? 'user root;' : ''}
error_log stderr info;
events { worker_connections 256; }
http {
  access_log off;
  ${temporary.join(' ')}
  js_path ${kit('nginx')};
  js_import anteport from anteport.js;
  js_import vectors from ${here('portals/nginx_vectors.js')};
  proxy_cache_path ${folder}/cache keys_zone=anteport:1m;
  ${resolver ? `resolver ${resolver};` : ''}
  proxy_ssl_trusted_certificate ${authorities};
  server {
    listen 127.0.0.1:${port};
    set $vectors_keys ${KEYS};
    set $anteport_issuer ${issuer};
    set $anteport_audience ${audience};
    set $anteport_keys ${keys};
    include ${kit('nginx/anteport.conf')};
    location = /vector { js_content vectors.vector; }
    location = /plain { js_content vectors.plain; }
    location / {
      auth_request /_anteport/check;
      auth_request_set $anteport_member $sent_http_x_member;
      proxy_set_header X-Member $anteport_member;
      proxy_pass ${portal};
    }
  }
}
`);
    return start(name, 'nginx', ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr'], { port });
  },
};

export const LANGUAGES = [php, node, ...pythons, ruby, go, java, nginx];
/** Each verifier once, whatever number of portals it has. */
export const VERIFIERS = LANGUAGES.filter(({ files: [file] }, at) => LANGUAGES.findIndex((other) => other.files[0] === file) === at);

export const build = () => Promise.all(LANGUAGES.map((language) => language.build?.()));
