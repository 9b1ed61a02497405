// docs/metrics.md as a table, and what is wrong with an expression that asks for something else. That the page says what the
// binary exports is shown by tests/telemetry.rs.
import { readFileSync } from 'node:fs';

import { alternatives, asked } from './promql.mjs';

/** A file of the repository. */
export const text = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** What Prometheus puts to every series, and what the rules call it. */
const OF_PROMETHEUS = ['job', 'instance'];
const OTHERS = new Map([
  ['up', { type: 'gauge', labels: new Map() }],
  ['ALERTS', { type: 'gauge', labels: new Map([['alertname', null], ['alertstate', ['pending', 'firing']]]) }],
]);

/** Each family of docs/metrics.md: its type, and its labels with their values, `null` for what the configuration says. */
export function catalogue() {
  const families = new Map();
  const page = text('docs/metrics.md');
  for (const [, name, labels, type] of page.matchAll(/^\| `(\w+?)(?:\{([^}]*)\})?` \| (counter|gauge|histogram), /gm)) {
    families.set(name, { type, labels: new Map(labels?.split(', ').map((label) => [label, null])) });
  }
  for (const [, name, label, values] of page.matchAll(/^\| `(\w+)` \| `(\w+)` \| (`.*`) \|$/gm)) {
    families.get(name).labels.set(label, values.slice(1, -1).split('`, `'));
  }
  return families;
}

/** What an expression can be asked for: the families, what histograms are made of, what the rules record. */
export function known(families, rules) {
  const series = new Map(OTHERS);
  for (const [name, family] of families) {
    if (family.type !== 'histogram') series.set(name, family);
    else {
      series.set(`${name}_bucket`, { type: 'counter', labels: new Map([...family.labels, ['le', null]]) });
      series.set(`${name}_count`, { type: 'counter', labels: family.labels });
      series.set(`${name}_sum`, { type: 'counter', labels: family.labels });
    }
  }
  for (const { name } of rules.filter((rule) => rule.type === 'recording')) {
    // level:metric:operations, and the level is the labels that are left.
    series.set(name, { type: 'gauge', labels: new Map(name.split(':')[0].split('_').map((label) => [label, null])) });
  }
  return series;
}

/** Everything that is wrong with an expression, in words; `$name` in a matcher is a variable of the dashboard. */
export function faults(expression, series) {
  const found = [];
  const { selectors, grouping } = asked(expression);
  const together = new Set(OF_PROMETHEUS);
  if (selectors.length === 0) found.push('asks for nothing');
  for (const { metric, matchers } of selectors) {
    const family = series.get(metric);
    if (!family) {
      found.push(`there is no ${metric}`);
      continue;
    }
    for (const label of family.labels.keys()) together.add(label);
    for (const { label, operator, value } of matchers) {
      if (OF_PROMETHEUS.includes(label)) continue;
      if (!family.labels.has(label)) {
        found.push(`${metric} has no label ${label}`);
        continue;
      }
      const values = family.labels.get(label);
      if (values === null || value.startsWith('$')) continue;
      const wanted = operator.endsWith('~') ? alternatives(value) : [value];
      for (const one of wanted) {
        const matches = operator.endsWith('~') ? (other) => new RegExp(`^(?:${one})$`).test(other) : (other) => other === one;
        if (!values.some(matches)) found.push(`${label} of ${metric} is never ${one}`);
      }
    }
    // A counter by itself says how long a process has run.
    if (family.type === 'counter') {
      const one = `(?<![\\w:])${metric}(?:\\{[^}]*\\})?(?![\\w:{])`;
      const bare = new RegExp(`${one}(?!\\[)`);
      const counted = new RegExp(`(?:count|group) by \\([^)]*\\) \\(${one}\\)`, 'g');
      if (bare.test(expression.replaceAll(counted, ''))) found.push(`${metric} is a counter, and asked for as it stands`);
    }
  }
  for (const label of grouping) if (!together.has(label)) found.push(`nothing here has a label ${label}`);
  return found;
}
