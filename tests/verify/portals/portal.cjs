// The smallest portal on Express. `portal.cjs vectors FILE KEYS` judges every case; `portal.cjs serve PORT ISSUER
// AUDIENCE KEYS` answers who is asking.
const { readFileSync } = require('node:fs');
const express = require('express');
const anteport = require('../../../deploy/verify/node/anteport.js');

/** A plain header as a list. */
const plain = (header) => header.split(',').map(decodeURIComponent);

async function vectors(file, keys) {
  const { now, issuer, audience, header, cases, plain: headers } = JSON.parse(readFileSync(file, 'utf8'));
  const results = {};
  for (const { name, algorithm, headers: lines } of cases) {
    const verify = anteport.verifier({ issuer, audience, keys, algorithm });
    const values = lines.filter(([line]) => line.toLowerCase() === header.toLowerCase()).map(([, value]) => value);
    results[name] = await verify(values, now).catch(() => null);
  }
  console.log(JSON.stringify({ results, plain: headers.map((one) => plain(one.header)) }));
}

function serve(port, issuer, audience, keys) {
  const app = express();
  app.use(anteport({ issuer, audience, keys }));
  app.use((req, res) => res.json({ sub: req.anteport.sub, assertion: req.get('X-Anteport-Assertion') }));
  app.listen(Number(port), '127.0.0.1');
}

const [mode, ...rest] = process.argv.slice(2);
({ vectors, serve })[mode](...rest);
