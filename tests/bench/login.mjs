// A login at the demo without a browser: redirects, a cookie jar, the provider's form. Ends with the cookies that a
// signed-in visitor sends.

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
    const answer = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const line of answer.headers.getSetCookie()) {
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
    const location = answer.headers.get('location');
    if (location) {
      await answer.arrayBuffer();
      url = new URL(location, url).href;
      answer = await ask(url);
      continue;
    }
    const html = await answer.text();
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
