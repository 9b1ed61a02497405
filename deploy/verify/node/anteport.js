'use strict';
// Who is asking, for Node and Express: verifies the assertion that Anteport sends with each request of a member.
// Standard library only, Node 18.4 or later.
//
//   const anteport = require('./anteport.js');
//   app.use(anteport({ issuer: 'https://members.example.org', audience: 'https://members.example.org',
//                      keys: 'http://127.0.0.1:8080/.auth/jwks.json' }));      // or the path of a file
//   app.get('/', (req, res) => res.send(`You are ${req.anteport.sub}`));
const { subtle } = require('node:crypto').webcrypto;
const { readFile } = require('node:fs/promises');

const LEEWAY = 30; // seconds that two clocks may differ
const LONGEST = 300; // an assertion lives for a minute: one that claims more is not ours
const LARGEST = 8192;
const NAMES = { ES256: 'ECDSA', EdDSA: 'Ed25519', RS256: 'RSASSA-PKCS1-v1_5', HS256: 'HMAC' };
const UTF8 = new TextDecoder('utf-8', { fatal: true });
const bytes = (part) => Buffer.from(part, 'base64url');
const must = (truth, why) => { if (!truth) throw new Error(why); };

/** The keys for an algorithm, of a URL or a file. */
async function read(source, algorithm) {
  const patience = { redirect: 'error', signal: AbortSignal.timeout(5000) };
  const text = /^https?:/.test(source) ? (await fetch(source, patience)).text() : readFile(source, 'utf8');
  return JSON.parse(await text).keys.filter((jwk) => jwk?.alg === algorithm && typeof jwk.kid === 'string');
}

/** The key set is kept for five minutes; an unknown key id asks again, at most every ten seconds. */
function keySet(source, algorithm) {
  let [asked, asking] = [-Infinity, Promise.resolve([])];
  return async (kid) => {
    const find = async () => (await asking).find((jwk) => jwk.kid === kid);
    if ((await find() ? 300_000 : 10_000) < performance.now() - asked) {
      // What cannot be read is empty: without keys everybody is refused.
      [asked, asking] = [performance.now(), read(source, algorithm).catch(() => [])];
    }
    return find();
  };
}

/** `verify(values, now)` goes from the header's values to the member's claims, or throws. */
function verifier({ issuer, audience, keys, algorithm = 'ES256' }) {
  must(issuer && audience && NAMES[algorithm], 'issuer, audience and a known algorithm have to be set');
  // The token has no say in how its key verifies. Each algorithm takes from the rule what it has a use for.
  const rule = { name: NAMES[algorithm], namedCurve: 'P-256', hash: 'SHA-256' };
  const find = keySet(keys, algorithm);
  return async (values, now = Date.now() / 1000) => {
    must(values.length === 1 && values[0].length <= LARGEST, 'one assertion is needed');
    const parts = values[0].split('.');
    // Strict base64url: no padding, no white space, no bits left over.
    must(parts.length === 3 && parts.every((part) => bytes(part).toString('base64url') === part), 'the form is wrong');
    const [header, claims] = parts.slice(0, 2).map((part) => JSON.parse(UTF8.decode(bytes(part))));
    must(header.alg === algorithm && !('crit' in header), 'another algorithm');
    // This refuses a key of another kind, or on another curve, and that there is none.
    const key = await subtle.importKey('jwk', await find(header.kid), rule, false, ['verify']);
    const signed = Buffer.from(`${parts[0]}.${parts[1]}`);
    must(await subtle.verify(rule, key, bytes(parts[2]), signed), 'no key of Anteport signed it');
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
  return async (req, res, next) => {
    try {
      req.anteport = await verify(req.headersDistinct['x-anteport-assertion'] ?? []);
    } catch (error) { // Whatever it was: who cannot be verified is not let through.
      console.warn(`anteport: refused: ${JSON.stringify(error.message)}`);
      res.writeHead(401, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' });
      return res.end('Please sign in: this request does not say who you are.\n');
    }
    return next();
  };
};
module.exports.verifier = verifier;
