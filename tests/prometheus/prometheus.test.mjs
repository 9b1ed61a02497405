// The rules, the dashboard and the pages about them against docs/metrics.md; and all of it against a demo that a real
// Prometheus scrapes while members sign in.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { logIn } from '../bench/login.mjs';
import { startDemo } from '../browser/demo.mjs';
import { freePorts } from '../browser/ports.mjs';
import { catalogue, faults, known, text } from './catalogue.mjs';

const RULES = fileURLToPath(new URL('../../deploy/prometheus/rules.yaml', import.meta.url));
const NAVIGATION = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };

const place = mkdtempSync(path.join(tmpdir(), 'anteport-prometheus-'));
const families = catalogue();
const dashboard = JSON.parse(text('deploy/grafana/anteport.json'));
const panels = dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]).filter((panel) => panel.targets);
let demo;
let prometheus;
let origin;
let rules;

/** What Prometheus' API says; refuses anything but a success. */
async function api(what, parameters = {}) {
  const answer = await fetch(`${origin}/api/v1/${what}?${new URLSearchParams(parameters)}`);
  const { status, data, error, warnings } = await answer.json();
  assert.equal(status, 'success', `${what} ${JSON.stringify(parameters)}: ${error}`);
  assert.equal(warnings, undefined);
  return data;
}

/** An expression's values at this moment. */
async function query(expression) {
  const { result } = await api('query', { query: expression });
  return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
}

/** Waits for `look` to find something, for a minute at most. */
async function until(what, look) {
  const begun = Date.now();
  for (;;) {
    const found = await look().catch((error) => ({ error }));
    if (found && !found.error) return found;
    assert.ok(Date.now() - begun < 60_000, `${what}: ${found?.error ?? 'not yet'}`);
    await new Promise((done) => setTimeout(done, 200));
  }
}

/** A panel's expression as Grafana would send it. */
const filled = (expression) =>
  expression
    .replaceAll('$__rate_interval', '1m')
    .replaceAll('$__range', '5m')
    .replaceAll(/=~"\$(job|portal)"/g, '=~".+"');

const panel = (title) => {
  const found = panels.filter((one) => one.title === title);
  assert.equal(found.length, 1, title);
  return found[0];
};

before(async () => {
  demo = await startDemo({ binary: process.env.ANTEPORT });
  const port = await freePorts(1);
  origin = `http://127.0.0.1:${port}`;
  const config = path.join(place, 'prometheus.yml');
  // The one of docs/metrics.md, with the demo's port and a pace for tests.
  const documented = /```yaml\n([\s\S]*?)```/.exec(text('docs/metrics.md'))[1];
  const mine = documented
    .replace('127.0.0.1:9090', new URL(demo.admin).host)
    .replace('15s', '1s')
    .replace('[rules.yaml]', `[${JSON.stringify(RULES)}]`);
  assert.ok(mine.includes(RULES) && mine.includes('1s') && !mine.includes('9090'));
  writeFileSync(config, `global: { evaluation_interval: 1s }\n${mine}`);
  prometheus = spawn('prometheus', [
    `--config.file=${config}`,
    `--storage.tsdb.path=${path.join(place, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ], { stdio: ['ignore', 'ignore', 'pipe'] });
  process.once('exit', () => prometheus.kill('SIGKILL'));
  let said = '';
  prometheus.stderr.on('data', (chunk) => { said += chunk; });
  await until('Prometheus scrapes the demo', async () => {
    assert.equal(prometheus.exitCode, null, said);
    return (await query('up{job="anteport"}')).some(({ value }) => value === 1);
  });
  // By then every series has been read with its 0, so that what comes next is an increase; and Prometheus, which supposes
  // that things go on until now as they did before, has enough to go by.
  await until('five scrapes', async () => (await query('count_over_time(up{job="anteport"}[1m]) >= 5')).length > 0);
  await until('the rules record', async () => (await query('job_portal:anteport_requests_5xx:ratio_rate5m')).length > 0);
  rules = (await api('rules')).groups.flatMap((group) => group.rules);
});

after(async () => {
  if (prometheus?.exitCode === null) {
    prometheus.kill('SIGTERM');
    await once(prometheus, 'exit');
  }
  await demo?.stop();
  rmSync(place, { recursive: true, force: true });
});

test('every expression of the rules asks for what there is', () => {
  const series = known(families, rules);
  assert.ok(rules.length > 30);
  for (const rule of rules) assert.deepEqual(faults(rule.query, series), [], `${rule.name}: ${rule.query}`);
});

test('every alert says how bad it is, what happened, what to do and where that is written', () => {
  const alerts = rules.filter((rule) => rule.type === 'alerting');
  const page = text('docs/alerts.md');
  const headings = [...page.matchAll(/^### (\w+)$/gm)].map(([, name]) => name);
  assert.deepEqual([...headings].sort(), alerts.map((rule) => rule.name).sort());
  const tried = text('deploy/prometheus/rules_test.yaml');
  for (const { name, labels, annotations, duration } of alerts) {
    assert.ok(['critical', 'warning'].includes(labels.severity), name);
    assert.ok(annotations.summary.length > 10 && annotations.description.length > 40, name);
    assert.equal(annotations.runbook_url, `docs/alerts.md#${name.toLowerCase()}`);
    const time = { 0: 'at once', 60: 'after 1 minute', 3600: 'after 1 hour' }[duration] ?? `after ${duration / 60} minutes`;
    assert.ok(page.includes(`### ${name}\n*${labels.severity}, ${time}.*`), `docs/alerts.md: ${name} is ${labels.severity}, ${time}`);
    assert.match(tried, new RegExp(`alertname[:=] ?"?${name}\\b`), `${name} is not tried`);
  }
});

test('every link of the two pages leads somewhere', () => {
  const slug = (heading) => heading.toLowerCase().replaceAll(/[^\w\- ]/g, '').replaceAll(' ', '-');
  for (const page of ['docs/metrics.md', 'docs/alerts.md']) {
    for (const [, link] of text(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      const [file, anchor] = link.split('#');
      const target = path.posix.join('docs', file || path.basename(page));
      assert.ok(existsSync(new URL(`../../${target}`, import.meta.url)), `${page}: ${link}`);
      if (!anchor) continue;
      const anchors = [...text(target).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => slug(heading));
      assert.ok(anchors.includes(anchor), `${page}: ${link}`);
    }
  }
});

test('every expression of the dashboard asks for what there is, and every panel says what it shows', () => {
  const series = known(families, rules);
  const ids = new Set(dashboard.panels.map((one) => one.id));
  assert.equal(ids.size, dashboard.panels.length);
  assert.ok(panels.length > 30);
  for (const { title, description, datasource, targets } of panels) {
    assert.ok(description, title);
    for (const target of targets) {
      assert.equal(target.datasource.uid, '${datasource}', title);
      assert.equal(datasource.uid, '${datasource}', title);
      assert.deepEqual(faults(target.expr, series), [], `${title}: ${target.expr}`);
      const labels = [...target.legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label);
      const { length } = labels.filter((label) => !new RegExp(`\\b${label}\\b`).test(target.expr) && label !== 'instance');
      assert.equal(length, 0, `${title}: ${target.legendFormat} of ${target.expr}`);
    }
  }
  assert.deepEqual(dashboard.templating.list.map(({ name }) => name), ['datasource', 'job', 'portal']);
  for (const { name, definition } of dashboard.templating.list.slice(1)) {
    const [, expression, label] = /^label_values\((.*), (\w+)\)$/.exec(definition);
    assert.equal(label, name);
    assert.deepEqual(faults(`group by (${label}) (${expression})`, series), [], definition);
  }
  for (const { expr } of dashboard.annotations.list) assert.deepEqual(faults(expr, series), [], expr);
});

test('what is wrong with an expression is seen', () => {
  const series = known(families, rules);
  for (const [expression, fault] of [
    ['rate(anteport_request_total[5m])', 'there is no anteport_request_total'],
    ['rate(anteport_requests_total{status="5xx"}[5m])', 'anteport_requests_total has no label status'],
    ['rate(anteport_requests_total{status_class="500"}[5m])', 'status_class of anteport_requests_total is never 500'],
    ['rate(anteport_logins_total{result=~"success|login-(loop|lop)"}[5m])', 'result of anteport_logins_total is never login-lop'],
    ['sum by (code) (rate(anteport_requests_total[5m]))', 'nothing here has a label code'],
    ['sum(anteport_requests_total)', 'anteport_requests_total is a counter, and asked for as it stands'],
    ['rate(anteport_request_duration_seconds[5m])', 'there is no anteport_request_duration_seconds'],
    ['1 + 1', 'asks for nothing'],
  ]) {
    assert.deepEqual(faults(expression, series), [fault], expression);
  }
});

test('promtool finds nothing to say of the names and units', async () => {
  const input = await (await fetch(`${demo.admin}/metrics`)).text();
  const said = execFileSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' });
  assert.equal(said, '');
});

test('Prometheus scrapes the demo without a fault, and what it finds is what the page names', async () => {
  const { activeTargets } = await api('targets');
  assert.deepEqual(activeTargets.map(({ health, lastError, labels }) => [health, lastError, labels.job]), [['up', '', 'anteport']]);
  const own = await (await fetch(`${origin}/metrics`)).text();
  const scrapes = [...own.matchAll(/^(prometheus_target_scrapes?_\S*(?:duplicate|out_of_order|out_of_bounds|exceeded|failed|invalid)\S*_total) (\d+)$/gm)];
  assert.ok(scrapes.length >= 5, own);
  for (const [, name, count] of scrapes) assert.equal(count, '0', name);
  const metadata = await api('targets/metadata', { match_target: '{job="anteport"}' });
  for (const { metric, type, help } of metadata) {
    assert.equal(families.get(metric)?.type, type, metric);
    assert.ok(help.endsWith('.'), metric);
  }
  const found = await api('series', { 'match[]': '{job="anteport"}' });
  const series = known(families, rules);
  for (const { __name__: name, job, instance, alertname, ...labels } of found) {
    if (name.startsWith('scrape_') || alertname || (name === 'ALERTS_FOR_STATE')) continue;
    const family = series.get(name);
    assert.ok(family, name);
    for (const [label, value] of Object.entries(labels)) {
      assert.ok(family.labels.has(label), `${name} ${label}`);
      const values = family.labels.get(label);
      assert.ok(values === null || values.includes(value), `${name} ${label} ${value}`);
    }
  }
  assert.ok(new Set(found.map((one) => one.__name__)).size > 60);
});

test('the dashboard shows what members did', async () => {
  for (const name of ['treasurer', 'member']) {
    const cookie = await logIn(demo.proxy, '/reports', `${name}@harborclub.example`, 'demo');
    for (let count = 0; count < 5; count += 1) {
      const answer = await fetch(`${demo.proxy}/reports`, { headers: { cookie } });
      assert.equal(answer.status, 200);
    }
  }
  const lost = await fetch(`${demo.proxy}/.auth/login/corporate/callback?code=x&state=y`, { headers: NAVIGATION });
  assert.ok(lost.status >= 400);
  for (let count = 0; count < 3; count += 1) {
    const tried = await fetch(`${demo.proxy}/login`, { method: 'POST', body: new URLSearchParams({ username: 'a', password: 'b' }) });
    assert.equal(tried.status, 403);
  }
  const scraped = await (await fetch(`${demo.admin}/metrics`)).text();
  const [, code] = /anteport_logins_total\{provider="corporate",result="(login-[a-z-]+)"\} 1$/m.exec(scraped);
  await until('Prometheus has read all of it', async () => {
    const all = await query('sum(anteport_logins_total{result="success"}) + sum(anteport_decisions_total{reason="local-login-blocked"})');
    return all[0]?.value === 5;
  });
  /** The first expression of a panel, by a label. */
  const shown = async (title, label, number = 0) => {
    const values = await query(filled(panel(title).targets[number].expr));
    return Object.fromEntries(values.map(({ metric, value }) => [label ? metric[label] : 'all', value]));
  };
  assert.deepEqual(await shown('Nodes'), { all: 1 });
  assert.deepEqual(await shown('Alerts'), { all: 0 });
  assert.deepEqual(await shown('Sessions', null), { all: 2 });
  /** As many, or somewhat more, as far as Prometheus supposes more. */
  const about = (value, wanted) => assert.ok(value >= wanted && value < wanted * 1.4, `${value} for ${wanted}`);
  about((await shown('Signed in')).all, 2);
  assert.ok(Math.abs((await shown('Sign-ins that succeed')).all - 2 / 3) < 0.01);
  const why = await shown('Why sign-ins fail', 'result');
  assert.deepEqual(Object.keys(why), [code]);
  about(why[code], 1);
  about((await shown('Why requests do not pass', 'reason'))['local-login-blocked'], 3);
  assert.ok((await shown('What was decided', 'decision')).forward > 0);
  assert.ok((await shown('Answers by status', 'status_class'))['2xx'] > 0);
  assert.ok((await shown('Requests to the portal', 'outcome')).ok > 0);
  assert.ok((await shown('What Anteport adds')).all > 0);
  assert.ok((await shown('Calls', 'outcome')).ok > 0);
  assert.equal((await shown('Servers that are well', 'upstream'))[new URL(demo.portal).host], 1);
  assert.ok((await shown('Memory', 'job')).anteport > 1e6);
  assert.ok((await shown('Up for', 'job')).anteport < 600);
  assert.deepEqual(await shown('Failed for a reason of ours'), { all: 0 });
});

test('every expression of the dashboard and every rule can be evaluated', async () => {
  for (const { title, targets } of panels) {
    for (const { expr } of targets) {
      const values = await query(filled(expr));
      // What nothing has happened for is empty where only that is asked for which has.
      assert.ok(values.length > 0 || />\s*0\b|topk|expiry/.test(expr), `${title} shows nothing: ${expr}`);
    }
  }
  for (const { expr } of dashboard.annotations.list) await query(filled(expr));
  const { groups } = await api('rules');
  for (const rule of groups.flatMap((group) => group.rules)) {
    assert.deepEqual([rule.health, rule.lastError], ['ok', undefined], rule.name);
    assert.notEqual(rule.state, 'firing', rule.name);
  }
});

test('a node that is gone is about to wake somebody', async () => {
  await demo.stop();
  await until('the alert is pending', async () => {
    const { alerts } = await api('alerts');
    return alerts.some(({ labels, state }) => labels.alertname === 'AnteportDown' && state === 'pending');
  });
  assert.deepEqual((await query('up{job="anteport"}')).map(({ value }) => value), [0]);
});
