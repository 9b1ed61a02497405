// ENV-06: every verifier that is published says of every vector what the file says, and the file is what its generator
// writes.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { freePorts } from '../browser/ports.mjs';
import { run, stopAll } from '../portals/processes.mjs';
import { build, README, VECTORS, VERIFIERS, vectors } from './languages.mjs';

const local = (name) => fileURLToPath(new URL(name, import.meta.url));
const port = await freePorts(1);

before(build);
after(stopAll);

test('the vectors are what their generator writes', async () => {
  await run(local('../.partners/verify/bin/python'), [local('generate.py'), '--check', VECTORS]);
});

test('the vectors have every kind of case that is promised', () => {
  const kinds = new Set(vectors.cases.map(({ why }) => why));
  for (const kind of ['good', 'expired', 'early', 'wrong audience', 'wrong key', 'none', 'swapped', 'doubled', 'truncated', 'plain headers']) {
    assert.ok(kinds.has(kind), kind);
  }
});

/** Whether a verifier said of a case what the file says. */
const isRight = (expected, claims) => (expected === 'refused' ? claims === null
  : claims !== null && Object.entries(expected).every(([name, value]) => assert.deepEqual(claims[name], value) === undefined));

for (const language of VERIFIERS) {
  const [file] = language.files;
  test(`env_06: ${file} against every vector`, async () => {
    const judgement = await language.judge(port);
    const cases = vectors.cases.filter(({ algorithm }) => language.algorithms.includes(algorithm));
    assert.ok(cases.length >= 160, `${cases.length} cases`);
    for (const { name, why, expect } of cases) {
      assert.ok(name in judgement.results, `${name} was not judged`);
      assert.ok(isRight(expect, judgement.results[name]), `${name} (${why}): ${JSON.stringify(judgement.results[name])}`);
    }
    assert.deepEqual(judgement.plain, vectors.plain.map(({ list }) => list), 'plain headers');
  });

  test(`the README says of ${file} what is so`, () => {
    const row = README.split('\n').find((line) => line.startsWith('|') && line.includes(`(${file})`));
    const [, , , , algorithms] = cells(row);
    for (const one of language.files) assert.ok(row.includes(`(${one})`), one);
    assert.equal(algorithms, language.algorithms.join(', '));
    // Its decoder of plain headers is the one that has just been tried.
    const [word] = language.name.split(',');
    const decoder = new RegExp(`^- ${word}: \`(.*)\`$`, 'm').exec(README)?.[1];
    assert.ok(readFileSync(local(path.join('portals', language.portal)), 'utf8').includes(decoder), decoder);
  });
}

test('every file is in the README, with as many lines of code as it says, and 60 at most', () => {
  const folder = path.dirname(VECTORS);
  const rows = README.split('\n').filter((line) => line.startsWith('|') && line.includes(']('));
  const named = rows.flatMap((row) => {
    const [, , files, lines] = cells(row);
    const names = [...files.matchAll(/\]\((.*?)\)/g)].map(([, name]) => name);
    assert.equal(lines, names.map(linesOfCode).join(' + '), row);
    return names;
  });
  const published = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(md|json|pyc)$/.test(entry.name))
    .map((entry) => path.relative(folder, path.join(entry.parentPath ?? entry.path, entry.name)));
  assert.deepEqual(named.sort(), published.sort());
  for (const file of published) {
    assert.ok(linesOfCode(file) <= 60, file);
    const text = readFileSync(path.join(folder, file), 'utf8').replaceAll('\t', '    ');
    assert.ok(text.split('\n').every((line) => line.length <= 120), `${file} has a line that is too long to be read`);
  }
});

test('what is to be pasted into an XML file is XML', async () => {
  const folder = path.dirname(VECTORS);
  const java = readFileSync(path.join(folder, 'java/AnteportFilter.java'), 'utf8');
  const filter = java.split('\n').filter((line) => /^\/\/ {3}/.test(line)).map((line) => line.slice(2)).join('\n');
  const samples = { 'web.config': readFileSync(path.join(folder, 'dotnet/framework/web.config'), 'utf8'), 'web.xml': `<web-app>${filter}</web-app>` };
  const read = 'import sys, xml.etree.ElementTree as tree; print(*[one.tag for one in tree.fromstring(sys.argv[1].encode()).iter()])';
  for (const [name, text] of Object.entries(samples)) {
    const { stdout } = await run(local('../.partners/verify/bin/python'), ['-c', read, text]);
    assert.match(stdout, name === 'web.xml' ? /filter-mapping/ : /appSettings.*httpModules add.*modules add/, name);
  }
});

const cells = (row) => row.split('|').map((cell) => cell.trim());

/** Lines that are neither empty nor comment. */
function linesOfCode(file) {
  const text = readFileSync(path.join(path.dirname(VECTORS), file), 'utf8').replace(/^\s*"""[\s\S]*?"""$/gm, '');
  return text.split('\n').filter((line) => line.trim() && !/^\s*(\/\/|\/?\*|#|<\?php$)/.test(line)).length;
}
