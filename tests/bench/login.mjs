// A login at the demo without a browser: redirects, a cookie jar, the provider's form. Ends with the cookies that a
// signed-in visitor sends.

import http from 'node:http';

const NAVIGATION = {
  accept: 'text/html',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'sec-fetch-site': 'none',
};

const unescaped = (text) =>
  text.replace(/&#x([0-9a-f]+);/gi, (_, hex) => String.fromCodePoint(parseInt(hex, 16)))
    .replace(/&#(\d+);/g, (_, digits) => String.fromCodePoint(Number(digits)))
    .replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');

const attribute = (tag, name) => {
  const found = new RegExp(`\\s${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s>]+))`, 'i').exec(tag);
  return found && unescaped(found[1] ?? found[2] ?? found[3]);
};

/** The form with a field `password` on a page: where it goes, and its fields. */
function passwordForm(html, url) {
  for (const [form] of html.matchAll(/<form[\s\S]*?<\/form>/gi)) {
    const fields = new URLSearchParams();
    for (const [input] of form.matchAll(/<(?:input|button)\b[^>]*>/gi)) {
      const name = attribute(input, 'name');
      if (name) fields.set(name, attribute(input, 'value') ?? '');
    }
    if (fields.has('password')) {
      const action = attribute(/<form[^>]*>/i.exec(form)[0], 'action') || url;
      return { action: new URL(action, url).href, fields };
    }
  }
  return null;
}

/** One request over `node:http`: `fetch` says of itself that it opens no page, and is believed. */
function exchange(url, { method = 'GET', headers, body }) {
  const text = body?.toString() ?? '';
  const form = body && {
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': String(Buffer.byteLength(text)),
  };
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers: { ...headers, ...form } }, (answer) => {
      let html = '';
      answer.setEncoding('utf8');
      answer.on('data', (piece) => { html += piece; });
      answer.on('end', () => resolve({
        status: answer.statusCode,
        location: answer.headers.location,
        cookies: answer.headers['set-cookie'] ?? [],
        html,
      }));
    });
    request.on('error', reject);
    request.end(text);
  });
}

/** Signs in by asking `proxy` for `path`; returns the `Cookie` header for `proxy`. */
export async function logIn(proxy, path, username, password) {
  // Cookies know no ports, but a jar for each origin keeps what is measured free of the provider's.
  const jars = new Map();
  const ask = async (url, init = {}) => {
    const { origin } = new URL(url);
    const jar = jars.get(origin) ?? new Map();
    jars.set(origin, jar);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...NAVIGATION, ...init.headers, ...(cookie && { cookie }) };
    const answer = await exchange(url, { ...init, headers });
    for (const line of answer.cookies) {
      const [pair, ...attributes] = line.split(';');
      const [name, ...value] = pair.split('=');
      if (attributes.some((text) => /^\s*max-age\s*=\s*0\s*$/i.test(text))) jar.delete(name.trim());
      else jar.set(name.trim(), value.join('=').trim());
    }
    return answer;
  };
  let url = `${proxy}${path}`;
  let answer = await ask(url);
  for (let steps = 0; steps < 20; steps += 1) {
    const { location, html } = answer;
    if (location) {
      url = new URL(location, url).href;
      answer = await ask(url);
      continue;
    }
    const form = passwordForm(html, url);
    if (form && !url.startsWith(proxy)) {
      form.fields.set('username', username);
      form.fields.set('password', password);
      url = form.action;
      answer = await ask(url, { method: 'POST', body: form.fields });
      continue;
    }
    const button = url.startsWith(proxy) && /<a\b[^>]*href="([^"]*\/login\/[^"]*)"/i.exec(html);
    if (button) {
      url = new URL(unescaped(button[1]), url).href;
      answer = await ask(url);
      continue;
    }
    const jar = jars.get(proxy);
    if (answer.status !== 200 || !jar?.has('__Host-anteport')) {
      throw new Error(`the login ended at ${url} with ${answer.status}:\n${html.slice(0, 500)}`);
    }
    return [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
  }
  throw new Error(`the login goes round in circles, last at ${url}`);
}
