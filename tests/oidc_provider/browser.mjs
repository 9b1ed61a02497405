// A browser of a few lines: cookies by host and port, redirects, forms that a person sends and one that sends itself.

import http from 'node:http';

const NAVIGATION = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };

const entities = { amp: '&', quot: '"', lt: '<', gt: '>', '#39': "'" };
const unescaped = (text) =>
  text.replace(/&#x([0-9a-f]+);/gi, (_, hex) => String.fromCodePoint(parseInt(hex, 16)))
    .replace(/&(amp|quot|lt|gt|#39);/g, (_, name) => entities[name])
    .replace(/&#(\d+);/g, (_, digits) => String.fromCodePoint(Number(digits)));

const attribute = (tag, name) => {
  const found = new RegExp(`\\s${name}\\s*=\\s*"([^"]*)"`, 'i').exec(tag);
  return found && unescaped(found[1]);
};

/** The first form of a page: where it goes, and its fields. */
export function form(page) {
  const text = /<form[\s\S]*?<\/form>/i.exec(page.html)?.[0] ?? '';
  const fields = {};
  for (const [input] of text.matchAll(/<(?:input|button)\b[^>]*>/gi)) {
    const name = attribute(input, 'name');
    if (name) fields[name] = attribute(input, 'value') ?? '';
  }
  const action = attribute(/<form[^>]*>/i.exec(text)?.[0] ?? '', 'action') || page.url;
  return { action: new URL(action, page.url).href, fields };
}

export class Browser {
  #jars = new Map();

  #jar(url) {
    const { host } = new URL(url);
    if (!this.#jars.has(host)) this.#jars.set(host, new Map());
    return this.#jars.get(host);
  }

  /** The `Cookie` header for this place. */
  cookies(url) {
    return [...this.#jar(url)].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  /** One request; redirects are shown and not followed. */
  async ask(url, { fields, from } = {}) {
    const jar = this.#jar(url);
    const body = fields && new URLSearchParams(fields).toString();
    const site = !from || new URL(from).host === new URL(url).host ? 'same-origin' : 'cross-site';
    const headers = { ...NAVIGATION, 'sec-fetch-site': from ? site : 'none' };
    if (jar.size) headers.cookie = this.cookies(url);
    if (body !== undefined) {
      headers['content-type'] = 'application/x-www-form-urlencoded';
      headers['content-length'] = String(Buffer.byteLength(body));
      if (from) headers.origin = new URL(from).origin;
    }
    const page = await new Promise((resolve, reject) => {
      const request = http.request(url, { method: fields ? 'POST' : 'GET', headers, agent: false }, (answer) => {
        let html = '';
        answer.setEncoding('utf8');
        answer.on('data', (piece) => { html += piece; });
        answer.on('end', () => resolve({ url, html, status: answer.statusCode, headers: answer.headers }));
      });
      request.on('error', reject);
      request.end(body);
    });
    for (const cookie of page.headers['set-cookie'] ?? []) {
      const [pair, ...rest] = cookie.split(';').map((part) => part.trim());
      const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
      const expires = rest.find((part) => /^expires=/i.test(part));
      const ended = rest.includes('Max-Age=0') || (expires && new Date(expires.slice(8)) < new Date());
      if (ended) jar.delete(name);
      else jar.set(name, value);
    }
    return page;
  }

  /** Where a page leads by itself. */
  location(page) {
    return page.headers.location;
  }

  /** The page at the end of all redirects and of forms that send themselves. */
  async open(url, options) {
    let page = await this.ask(url, options);
    for (let steps = 0; steps < 20; steps += 1) {
      const location = this.location(page);
      if (location) {
        page = await this.ask(new URL(location, page.url).href, { from: page.url });
      } else if (/submit\(\)|onload=/.test(page.html)) {
        const { action, fields } = form(page);
        page = await this.ask(action, { fields, from: page.url });
      } else {
        return page;
      }
    }
    throw new Error(`no end of redirects at ${page.url}`);
  }

  /** Sends the form of a page with more fields, and goes where that leads. */
  async send(page, more = {}) {
    const { action, fields } = form(page);
    return this.open(action, { fields: { ...fields, ...more }, from: page.url });
  }
}
