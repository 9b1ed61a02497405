// Who is asking, for nginx with its JavaScript module (njs 0.7.9 or later): verifies the assertion that Anteport sends
// with each request of a member, before nginx passes the request on. Three files: this one, anteport_verify.js, and
// anteport.conf, which says how they are set up.
import verifier from 'anteport_verify.js';

const LAST = 1200; // seconds after which keys that could not be renewed count no more
// Seconds after which a copy that is kept for ten could not be renewed. By the clock of who sent it, which may differ.
const RENEWED = 90;
// Whoever can change the keys on their way is everybody: they come over TLS, or from this machine.
const SAFE = /^(https:\/\/|http:\/\/(127\.0\.0\.1|\[::1\]|localhost)(:[0-9]+)?\/)/;

// There are no keys to verify with. It says nothing about who asks, who may come again.
function unavailable(why) {
    const error = new Error(`no keys: ${why}`);
    error.isLater = true;
    return error;
}

// A key of the set that nginx keeps in its cache, if it is there.
async function look(r, place, fits) {
    const answer = await r.subrequest(place);
    if (answer.status !== 200) throw unavailable(`status ${answer.status}`);
    const age = (Date.now() - Date.parse(answer.headersOut['Date'])) / 1000;
    if (!(Math.abs(age) < LAST)) throw unavailable(`those that are kept are ${age} s old`);
    let found;
    try {
        found = JSON.parse(answer.responseText).keys.filter((key) => key && key.alg === 'ES256');
    } catch (error) {
        throw unavailable(error.message);
    }
    if (found.length === 0) throw unavailable('none of them is for ES256');
    const key = found.find(fits);
    if (!key && age > RENEWED) throw unavailable('none of them is the one, and they could not be renewed');
    return key;
}

// Each line for itself, so that two of them are two in every nginx.
function values(r) {
    return r.rawHeadersIn.filter((pair) => pair[0].toLowerCase() === 'x-anteport-assertion').map((pair) => pair[1]);
}

// For `auth_request`: 204 with the member's key in a header of the answer, or 401.
async function check(r) {
    const set = r.variables;
    // An unknown key id looks into a copy that is kept for ten seconds only.
    const kept = (fits) => look(r, '/_anteport/keys', fits).catch(() => undefined);
    const find = async (fits) => await kept(fits) || look(r, '/_anteport/new_keys', fits);
    try {
        if (!SAFE.test(set.anteport_keys)) throw unavailable('they come over https, or from this machine, alone');
        const issuer = set.anteport_issuer;
        const audience = set.anteport_audience;
        const claims = await verifier.verify(values(r), issuer, audience, find, Date.now() / 1000);
        r.headersOut['X-Member'] = encodeURIComponent(claims.sub);
        r.return(204);
    } catch (error) {
        r.warn(`anteport: refused: ${JSON.stringify(error.message)}`);
        set.anteport_is_later = error.isLater ? 'yes' : '';
        r.status = 401; // Only the request that wants to pass shows a page for it.
        r.sendHeader();
        r.finish();
    }
}

export default { check, values, verify: verifier.verify };
