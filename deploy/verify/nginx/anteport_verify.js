// From the values of the header to the member's claims, for anteport.js beside it.
const LEEWAY = 30; // seconds that two clocks may differ
const LONGEST = 300; // an assertion lives for a minute: one that claims more is not ours
const LARGEST = 8192;
// What precedes x and y in a public key on P-256 (RFC 5480).
const P256 = '3059301306072a8648ce3d020106082a8648ce3d03010703420004';
const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

function must(truth, why) {
    if (!truth) throw new Error(why);
}

// Strict base64url: no padding, no white space, no bits left over.
function bytes(part) {
    const decoded = Buffer.from(part, 'base64url');
    must(decoded.toString('base64url') === part, 'a part is not base64url');
    return decoded;
}

function json(part) {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes(part)));
}

// From the values of the header to the member's claims, or an error. `find` gives the first key that fits.
async function verify(values, issuer, audience, find, now) {
    must(values.length === 1 && values[0].length <= LARGEST, 'one assertion is needed');
    const parts = values[0].split('.');
    must(parts.length === 3, 'an assertion has three parts');
    const header = json(parts[0]);
    const claims = json(parts[1]);
    const signature = bytes(parts[2]);
    // The algorithm is ES256, whatever the token says.
    must(header.alg === 'ES256' && header.crit === undefined, 'another algorithm');
    must(typeof header.kid === 'string' && signature.length === 64, 'no key id, or a signature of another size');
    const isPoint = (one) => one.alg === 'ES256' && one.kty === 'EC' && one.crv === 'P-256';
    const jwk = await find((one) => one.kid === header.kid && isPoint(one));
    must(jwk, 'no such key');
    const spki = Buffer.concat([Buffer.from(P256, 'hex'), bytes(jwk.x), bytes(jwk.y)]);
    const key = await crypto.subtle.importKey('spki', spki, ES256, false, ['verify']);
    const isSigned = await crypto.subtle.verify(ES256, key, signature, Buffer.from(`${parts[0]}.${parts[1]}`));
    must(isSigned, 'no key of Anteport signed it');
    must(claims.iss === issuer && claims.aud === audience, 'for another portal');
    must(typeof claims.sub === 'string' && claims.sub !== '', 'about nobody');
    const begins = claims.nbf === undefined ? 0 : claims.nbf;
    must([claims.exp, claims.iat, begins].every((time) => typeof time === 'number'), 'a time is no number');
    must(now - LEEWAY < claims.exp && claims.exp <= now + LONGEST, 'expired');
    must(claims.iat <= now + LEEWAY && begins <= now + LEEWAY, 'from the future');
    return claims;
}

export default { verify };
