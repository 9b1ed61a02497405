// HDR-09: what the proxy sends for a text is that text again after the line of code that docs/identity-headers.md gives for
// each language. There is no toolchain of C# or Elixir here; what Rust's line reads is tested where it is written.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { BINARY } from '../browser/demo.mjs';
import { place, run, stopAll } from '../portals/processes.mjs';

const PAGE = readFileSync(fileURLToPath(new URL('../../docs/identity-headers.md', import.meta.url)), 'utf8');

/** Everything that has been taken for something else by some decoder: signs, borders, line ends, letters beyond ASCII. */
const TEXTS = [
  'Caldera, Łucja', 'a+b c', '100 %', '%41', '%', '%zz', '%25', ' at both ends ', 'a\r\nX-Other: b', '\u0000\u001f\u007f', 'Zoë',
  '李小龍', 'مريم', '\u202eabc', '👩‍👩‍👧', '\u{10ffff}', 'e\u0301', "'\"\\`$(id)", '<b>&amp;', '=?utf-8?Q?a?=', 'a;b|c/d', '\u00a0', 'x',
];

/** For each language: its row's name, how it is run, and a program around the line, which reads a value a line and writes JSON. */
const LANGUAGES = [
  ['JavaScript', 'node', 'js', (line) => `const lines = require('fs').readFileSync(0, 'latin1').split('\\n').slice(0, -1);
    console.log(JSON.stringify(lines.map((v) => ${line})));`],
  ['Python', 'python3', 'py', (line) => `import json, sys, urllib.parse
print(json.dumps([${line} for v in sys.stdin.read().split("\\n")[:-1]]))`],
  ['PHP', 'php', 'php', (line) => `<?php $all = array_slice(explode("\\n", stream_get_contents(STDIN)), 0, -1);
    echo json_encode(array_map(fn($v) => ${line}, $all), JSON_THROW_ON_ERROR);`],
  ['Ruby', 'ruby', 'rb', (line) => `require "cgi"; require "json"
puts JSON.generate(STDIN.read.split("\\n", -1)[0..-2].map { |v| ${line} })`],
  ['Java, Kotlin', 'java', 'java', (line) => `import java.net.URLDecoder; import java.nio.charset.StandardCharsets; import java.util.Base64;
    public class Decoder { public static void main(String[] none) throws Exception {
      var all = new java.io.BufferedReader(new java.io.InputStreamReader(System.in)).lines().map((v) -> ${line})
        .map((text) -> '"' + Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8)) + '"');
      System.out.println("{\\"base64\\":[" + String.join(",", all.toList()) + "]}"); } }`],
  ['Go', 'go', 'go', (line) => `package main
import ("bufio"; "encoding/json"; "net/url"; "os")
func main() { all := []string{}; in := bufio.NewScanner(os.Stdin)
  for in.Scan() { v := in.Text(); text, err := ${line}; if err != nil { panic(err) }; all = append(all, text) }
  json.NewEncoder(os.Stdout).Encode(all) }`],
  ['Perl', 'perl', 'pl', (line) => `use strict; use Encode; use JSON::PP; my @all;
    while (my $v = <STDIN>) { chomp $v; push @all, ${line}; } print JSON::PP->new->ascii->encode(\\@all);`],
];

const ARGUMENTS = { Go: (file) => ['run', file] };

/** What the proxy would send for each text. */
let sent;

before(async () => {
  const claims = {
    tid: '3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11', oid: '6f2c7a52-8f0a-4a3c-9d0e-2a44b8b1f0aa',
    ...Object.fromEntries(TEXTS.map((text, index) => [`t${index}`, text])),
  };
  const headers = TEXTS.map((_, index) => `X-Text-${index}: t${index}`).join(', ');
  const [config, file] = ['decoders.yaml', 'claims.json'].map((name) => path.join(place, name));
  writeFileSync(file, JSON.stringify(claims));
  writeFileSync(config, `listen: { address: "127.0.0.1:8080" }
providers:
  corporate: { kind: entra_id, tenant: contoso.example, client_id: a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20, credentials: [ { secret: { value: any } } ] }
portals:
  - public_url: "http://127.0.0.1:8080"
    upstream: { url: "http://127.0.0.1:3000" }
    local_login: {}
    identity: { headers: { ${headers} } }
`);
  const { stdout } = await run(BINARY, ['explain', '--config', config, '--claims', file, 'GET', '/']);
  const said = new Map([...stdout.matchAll(/x-text-(\d+): (.*)/gi)].map(([, index, value]) => [Number(index), value]));
  sent = TEXTS.map((_, index) => said.get(index));
});
after(stopAll);

test('what is sent is ASCII without spaces at its ends', () => {
  for (const [index, value] of sent.entries()) assert.match(value ?? 'nothing', /^[!-~]([ -~]*[!-~])?$/, JSON.stringify(TEXTS[index]));
});

for (const [language, command, suffix, program] of LANGUAGES) {
  test(`HDR-09: ${language} reads them as they were`, async () => {
    const row = PAGE.split('\n').find((line) => line.startsWith(`| ${language} | \``));
    const [, line] = /^\| [^|]+ \| `(.*)` \|$/.exec(row);
    const folder = path.join(place, suffix);
    mkdirSync(folder, { recursive: true });
    const file = path.join(folder, `Decoder.${suffix}`);
    writeFileSync(file, program(line));
    const running = run(command, (ARGUMENTS[language] ?? ((name) => [name]))(file), { maxBuffer: 1 << 20 });
    running.child.stdin.end(sent.map((value) => `${value}\n`).join(''));
    const read = JSON.parse((await running).stdout);
    const texts = read.base64 ? read.base64.map((text) => Buffer.from(text, 'base64').toString()) : read;
    assert.deepEqual(texts, TEXTS);
  });
}
