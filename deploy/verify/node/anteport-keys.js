'use strict';
// The keys of Anteport, for anteport.js beside it: fetched and kept.
const { readFile } = require('node:fs/promises');

const FRESH = 300_000; // milliseconds for which nobody asks again
const PAUSE = 10_000; // between two questions, whatever is wanted
const LAST = 1_200_000; // after these, what could not be renewed counts no more

// Whoever can change the keys on their way is everybody: they come over TLS, from this machine, or out of a file.
const IS_SAFE = /^(https:\/\/|http:\/\/(127\.0\.0\.1|\[::1\]|localhost)(:\d+)?\/|(?![A-Za-z][A-Za-z\d+.-]+:))/;

/** There are no keys to verify with. It says nothing about who asks, who may come again. */
class Unavailable extends Error {}

async function text(source) {
  if (!/^https?:/.test(source)) return readFile(source, 'utf8');
  const headers = { 'Cache-Control': 'no-cache' }; // A cache on the way may have a key that was withdrawn.
  const answer = await fetch(source, { headers, redirect: 'error', signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.text();
}

/** The keys for an algorithm, of a URL or a file; none is an error. */
async function read(source, algorithm) {
  const isKey = (jwk) => jwk?.alg === algorithm && typeof jwk.kid === 'string';
  const keys = JSON.parse(await text(source)).keys.filter(isKey);
  if (!keys.length) throw new Error(`none of them is for ${algorithm}`);
  return keys;
}

/** Finds a key by its id. Who has to wait for the answer is who asks, and who has no key without it. */
function keySet(source, algorithm) {
  if (!IS_SAFE.test(source)) throw new Error('keys come over https, from this machine or out of a file alone');
  let [keys, asked, got, asking] = [[], -Infinity, -Infinity, null];
  const age = (then) => performance.now() - then;
  const kept = (kid) => (age(got) < LAST ? keys.find((jwk) => jwk.kid === kid) : undefined);
  const isDue = (kid) => age(asked) > PAUSE && (age(got) > FRESH || !kept(kid));
  const ask = async () => {
    asked = performance.now();
    try {
      keys = await read(source, algorithm);
      got = performance.now();
    } catch (error) { // What cannot be read changes nothing yet: one bad answer turns nobody away.
      console.warn(`anteport: no keys from ${source}: ${JSON.stringify(error.message)}`);
    }
  };
  return async (kid) => {
    if (isDue(kid)) await (asking = ask());
    else if (!kept(kid)) await asking;
    const jwk = kept(kid);
    if (!jwk) throw got < asked ? new Unavailable('the keys cannot be had') : new Error('no such key');
    return jwk;
  };
}

module.exports = { keySet, Unavailable };
