// A member's way through the demo, with a browser that nobody here wrote. The tests are steps of one walk: each goes on
// where the one before it ended.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { startDemo } from './demo.mjs';

const SCREENSHOTS = fileURLToPath(new URL('../../target/screenshots/', import.meta.url));
const MEMBER = 'treasurer@harborclub.example';
const ASKED = '/reports?year=2026';

let demo;
let browser;
let context;
let page;
/** What our own pages were not allowed to do by their policy: nothing may show up here. */
const violations = [];

before(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  demo = await startDemo();
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  context = await browser.newContext({ viewport: { width: 1000, height: 760 } });
  context.setDefaultTimeout(15_000);
  page = await context.newPage();
  page.on('console', (message) => {
    if (/Content[- ]Security[- ]Policy/i.test(message.text())) violations.push(message.text());
  });
});

after(async () => {
  await browser?.close();
  await demo?.stop();
});

const picture = (name) => page.screenshot({ path: `${SCREENSHOTS}${name}.png`, fullPage: true });

/** The browser is where somebody signs in: on our page with the button, or at the (emulated) provider. */
async function asksForSignIn() {
  const here = new URL(page.url());
  if (here.origin === demo.microsoft) return true;
  return here.origin === demo.proxy && (await page.getByRole('link', { name: /sign in/i }).count()) > 0;
}

/** From our own page with the button, if that is where the browser is, on to the provider. */
async function goToTheProvider() {
  if (new URL(page.url()).origin === demo.proxy) {
    await picture('01-sign-in');
    await page.getByRole('link', { name: /sign in/i }).first().click();
  }
  await page.waitForURL(`${demo.microsoft}/**`);
}

/** Our cookies in the browser. Asked without an address: a test driver's own rule for `Secure` knows only https. */
async function ourCookies() {
  return (await context.cookies()).filter(({ name }) => name.startsWith('__Host-anteport'));
}

const session = (cookies) => cookies.filter(({ name }) => name === '__Host-anteport');

/** What the portal says that it knows about the request, asked from within the page with these headers. */
const whoami = (headers = {}) =>
  page.evaluate(async (headers) => {
    const answer = await fetch('/whoami.json', { headers });
    return { status: answer.status, text: await answer.text() };
  }, headers);

test('a page asked for without a session leads to sign-in', async () => {
  await page.goto(`${demo.proxy}${ASKED}`);
  assert.ok(await asksForSignIn(), `at ${page.url()}`);
});

test('a member signs in and arrives at the page that was asked for, query and all', async () => {
  await goToTheProvider();
  await page.locator('[name=username]').fill(MEMBER);
  await page.locator('[name=password]').fill('demo');
  await picture('02-microsoft');
  await page.locator('[name=password]').press('Enter');
  await page.waitForURL(`${demo.proxy}${ASKED}`);
  assert.equal(page.url(), `${demo.proxy}${ASKED}`);
  await picture('03-reports');
});

test('the portal shows who it is, and has verified it', async () => {
  const { status, text } = await whoami();
  assert.equal(status, 200);
  assert.match(text, /treasurer/i);
  assert.match(text, /"verified"\s*:\s*true/);
});

test('a forged identity header arrives nowhere', async () => {
  const forged = {
    'X-Anteport-Assertion': 'forged-by-a-visitor',
    'X-Auth-User': 'forged-by-a-visitor',
    'X-Auth-Email': 'forged-by-a-visitor@evil.example',
    'X-MS-CLIENT-PRINCIPAL-NAME': 'forged-by-a-visitor',
    'X-Forwarded-User': 'forged-by-a-visitor',
    'Remote-User': 'forged-by-a-visitor',
  };
  const { status, text } = await whoami(forged);
  assert.equal(status, 200);
  assert.doesNotMatch(text, /forged-by-a-visitor/);
  assert.match(text, /treasurer/i);
  assert.match(text, /"verified"\s*:\s*true/);
});

test('the portal sees none of our cookies', async () => {
  const all = await ourCookies();
  // A login that is over leaves a mark for a minute, by which sign-ins in circles are known: it holds no secret.
  const marks = all.filter(({ value }) => value.startsWith('over.'));
  const inAMinute = Date.now() / 1000 + 61;
  assert.ok(marks.length <= 1 && marks.every(({ expires }) => expires > 0 && expires < inAMinute), 'one mark, for a minute');
  const cookies = all.filter((cookie) => !marks.includes(cookie));
  assert.deepEqual(cookies.map(({ name }) => name), ['__Host-anteport'], 'the session, and no login left over');
  const { text } = await whoami();
  assert.doesNotMatch(text, /__Host-anteport/);
  const [cookie] = cookies;
  assert.deepEqual(
    [cookie.httpOnly, cookie.secure, cookie.sameSite, cookie.path],
    [true, true, 'Lax', '/'],
  );
});

test('the page that tells what happened is there', async () => {
  await page.goto(`${demo.proxy}/demo`);
  assert.ok((await page.getByRole('button').count()) >= 2, 'a button to forge, a button for the password door');
  await picture('04-demo');
  // The README's picture, docs/demo.png, is this one in 256 colours.
  const clip = { x: 0, y: 0, width: 1000, height: 1180 };
  await page.screenshot({ path: `${SCREENSHOTS}readme.png`, fullPage: true, clip });
});

test('the password door answers 403, by its own button too, and says why', async () => {
  const answer = page.waitForResponse(
    (response) => response.request().method() === 'POST' && response.url().startsWith(demo.proxy),
  );
  await page.getByRole('button', { name: /password|door/i }).first().click();
  assert.equal((await answer).status(), 403);

  // The page that a member sees, as the answer to the portal's own form.
  const path = new URL((await answer).url()).pathname;
  await page.goto(`${demo.proxy}/demo`);
  const refused = page.waitForResponse((response) => new URL(response.url()).pathname === path);
  await page.evaluate((path) => {
    const form = document.createElement('form');
    form.method = 'post';
    form.action = path;
    document.body.append(form);
    form.submit();
  }, path);
  assert.equal((await refused).status(), 403);
  await page.waitForLoadState();
  assert.match(await page.locator('main').innerText(), /local-login-blocked/);
  assert.equal(await page.locator('h1').count(), 1);
  assert.match(await page.title(), / · Harbor Club$/, 'it has the name of the portal');
  // Its style is applied: the policy names the style by its hash.
  const width = await page.locator('main').evaluate((main) => getComputedStyle(main).maxWidth);
  assert.notEqual(width, 'none');
  await picture('05-password-door');
});

test('our page is for small screens and for the dark too', async () => {
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.setViewportSize({ width: 320, height: 640 });
  const overflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  assert.equal(overflow, 0, 'nothing is wider than the screen');
  await picture('06-password-door-small-and-dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 1000, height: 760 });
});

test('after signing out, neither going back nor asking again shows the portal', async () => {
  await page.goto(`${demo.proxy}${ASKED}`);
  assert.equal(page.url(), `${demo.proxy}${ASKED}`, 'still signed in');
  const stolen = session(await ourCookies());
  assert.equal(stolen.length, 1);

  await page.goto(`${demo.proxy}/.auth/logout`);
  const confirm = page.getByRole('button', { name: /sign out/i });
  if ((await confirm.count()) > 0) await confirm.first().click();
  await page.waitForLoadState('networkidle');
  await picture('07-signed-out');
  assert.deepEqual(session(await ourCookies()), []);

  await page.goto(`${demo.proxy}${ASKED}`);
  assert.ok(await asksForSignIn(), `at ${page.url()}`);
  await page.goBack();
  assert.notEqual(page.url(), `${demo.proxy}${ASKED}`);

  // A copied cookie is worthless (SESS-04).
  await context.addCookies(stolen);
  assert.equal(session(await ourCookies())[0]?.value, stolen[0].value);
  await page.goto(`${demo.proxy}${ASKED}`);
  assert.ok(await asksForSignIn(), `at ${page.url()}`);
});

test('no page of ours ran into its own policy', () => {
  assert.deepEqual(violations, []);
});
