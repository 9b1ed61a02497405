'use strict';
// Who is asking, for Node and Express: verifies the assertion that Anteport sends with each request of a member.
// Standard library only, Node 18.4 or later. Two files: this one and anteport-keys.js.
//
//   const anteport = require('./anteport.js');
//   app.use(anteport({ issuer: 'https://members.example.org', audience: 'https://members.example.org',
//                      keys: 'https://members.example.org/.auth/jwks.json' })); // or the path of a file
//   app.get('/', (req, res) => res.send(`You are ${req.anteport.sub}`));
const { subtle } = require('node:crypto').webcrypto;
const { keySet, Unavailable } = require('./anteport-keys.js');

const LEEWAY = 30; // seconds that two clocks may differ
const LONGEST = 300; // an assertion lives for a minute: one that claims more is not ours
const LARGEST = 8192;
const SENTENCE = 'Please sign in: this request does not say who you are.\n';
const LATER = 'Please try again in a moment: who you are cannot be verified now.\n';
const HEADERS = { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' };
const NAMES = { ES256: 'ECDSA', EdDSA: 'Ed25519', RS256: 'RSASSA-PKCS1-v1_5', HS256: 'HMAC' };
const UTF8 = new TextDecoder('utf-8', { fatal: true });
const bytes = (part) => Buffer.from(part, 'base64url');
const must = (truth, why) => { if (!truth) throw new Error(why); };

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
    // This refuses a key of another kind, or on another curve.
    const key = await subtle.importKey('jwk', await find(header.kid), rule, false, ['verify']);
    const signed = Buffer.from(`${parts[0]}.${parts[1]}`);
    must(await subtle.verify(rule, key, bytes(parts[2]), signed), 'no key of Anteport signed it');
    must(claims.iss === issuer && claims.aud === audience, 'for another portal');
    must(typeof claims.sub === 'string' && claims.sub !== '', 'about nobody');
    const { exp, iat, nbf = 0 } = claims;
    must([exp, iat, nbf].every((time) => typeof time === 'number'), 'a time is no number');
    must(now - LEEWAY < exp && exp <= now + LONGEST, 'expired');
    must(iat <= now + LEEWAY && nbf <= now + LEEWAY, 'from the future');
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
      const isLater = error instanceof Unavailable;
      res.writeHead(isLater ? 503 : 401, { ...HEADERS, ...(isLater && { 'Retry-After': '10' }) });
      return res.end(isLater ? LATER : SENTENCE);
    }
    return next();
  };
};
module.exports.verifier = verifier;
