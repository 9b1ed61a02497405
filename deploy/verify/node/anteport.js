'use strict';
// Who is asking, for Node and Express: verifies the assertion that Anteport sends with each request of a member.
// Standard library only, Node 18 or later.
//
//   const anteport = require('./anteport.js');
//   app.use(anteport({ issuer: 'https://members.example.org', audience: 'https://members.example.org',
//                      keys: 'http://127.0.0.1:8080/.auth/jwks.json' }));      // or the path of a file
//   app.get('/', (req, res) => res.send(`You are ${req.anteport.sub}`));
const crypto = require('node:crypto');
const { readFile } = require('node:fs/promises');

const LEEWAY = 30; // seconds that two clocks may differ
const LONGEST = 300; // an assertion lives for a minute: one that claims more is not ours
const LARGEST = 8192;

const must = (truth, why) => { if (!truth) throw new Error(why); };
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const bytes = (part) => Buffer.from(part, 'base64url');
const text = (part) => new TextDecoder('utf-8', { fatal: true }).decode(bytes(part));
const hmac = (jwk, signed) => crypto.createHmac('sha256', bytes(jwk.k)).update(signed).digest();
const same = (one, other) => one.length === other.length && crypto.timingSafeEqual(one, other);
const by = (hash, more) => (jwk, signed, signature) =>
  crypto.verify(hash, signed, { key: crypto.createPublicKey({ key: jwk, format: 'jwk' }), ...more }, signature);

// What a key has to be, and how it verifies. The token has no say in either.
const ALGORITHMS = {
  ES256: { kty: 'EC', crv: 'P-256', verifies: by('sha256', { dsaEncoding: 'ieee-p1363' }) },
  EdDSA: { kty: 'OKP', crv: 'Ed25519', verifies: by(null) },
  RS256: { kty: 'RSA', verifies: by('sha256') },
  HS256: { kty: 'oct', verifies: (jwk, signed, signature) => same(hmac(jwk, signed), signature) },
};

/** The key set of a URL or a file, kept for five minutes; an unknown key id asks again, at most every ten seconds. */
function keySet(source) {
  let [keys, asked, asking] = [[], -Infinity, null];
  const read = async () => {
    if (!/^https?:/.test(source)) return JSON.parse(await readFile(source, 'utf8')).keys;
    return (await (await fetch(source, { redirect: 'error', signal: AbortSignal.timeout(5000) })).json()).keys;
  };
  return async (fits) => {
    const now = performance.now() / 1000;
    if (now - asked > (keys.some(fits) ? 300 : 10)) {
      asked = now;
      // What cannot be read is empty: without keys everybody is refused.
      asking = read().catch(() => []).then((found) => { keys = Array.isArray(found) ? found.filter(isObject) : []; });
    }
    await asking;
    return keys.find(fits);
  };
}

/** `verify(values, now)` goes from the header's values to the member's claims, or throws. */
function verifier({ issuer, audience, keys, algorithm = 'ES256' }) {
  const { kty, crv, verifies } = ALGORITHMS[algorithm];
  must(issuer && audience, 'issuer and audience have to be set');
  const find = keySet(keys);
  return async (values, now = Date.now() / 1000) => {
    must(values.length === 1 && values[0].length <= LARGEST, 'one assertion is needed');
    const parts = values[0].split('.');
    // Strict base64url: no padding, no white space, no bits left over.
    must(parts.length === 3 && parts.every((part) => bytes(part).toString('base64url') === part), 'the form is wrong');
    const [header, claims] = parts.slice(0, 2).map((part) => JSON.parse(text(part)));
    must(isObject(header) && isObject(claims), 'a part is no JSON object');
    must(header.alg === algorithm && !('crit' in header), 'another algorithm');
    const key = await find((jwk) => typeof header.kid === 'string' && jwk.kid === header.kid
      && jwk.alg === algorithm && jwk.kty === kty && jwk.crv === crv);
    must(key && verifies(key, Buffer.from(`${parts[0]}.${parts[1]}`), bytes(parts[2])), 'no key of Anteport signed it');
    must(claims.iss === issuer && claims.aud === audience, 'for another portal');
    must(typeof claims.sub === 'string' && claims.sub !== '', 'about nobody');
    must([claims.exp, claims.iat, claims.nbf ?? 0].every((time) => typeof time === 'number'), 'a time is no number');
    must(now - LEEWAY < claims.exp && claims.exp <= now + LONGEST, 'expired');
    must(claims.iat <= now + LEEWAY && (claims.nbf ?? 0) <= now + LEEWAY, 'from the future');
    return claims;
  };
}

/** The middleware: `req.anteport` has the claims, and nobody comes further without. */
module.exports = (options) => {
  const verify = verifier(options);
  return (req, res, next) => {
    const values = req.rawHeaders.filter((_, at, all) => at % 2 && all[at - 1].toLowerCase() === 'x-anteport-assertion');
    verify(values).then((claims) => { req.anteport = claims; setImmediate(next); }, (error) => {
      console.warn(`anteport: refused: ${JSON.stringify(error.message)}`);
      res.writeHead(401, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' });
      res.end('Please sign in: this request does not say who you are.\n');
    });
  };
};
module.exports.verifier = verifier;
