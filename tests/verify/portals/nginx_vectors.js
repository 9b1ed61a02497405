// Judges one case of the vectors, whose time and keys come from outside.
import anteport from 'anteport.js';

async function vector(r) {
    const set = r.variables;
    const keys = JSON.parse(require('fs').readFileSync(set.vectors_keys)).keys;
    const find = async (fits) => keys.find(fits);
    try {
        const claims = await anteport.verify(anteport.values(r), set.arg_issuer, set.arg_audience, find, Number(set.arg_now));
        r.return(200, JSON.stringify(claims));
    } catch (error) {
        r.return(200, 'null');
    }
}

// A plain header as a list.
function plain(r) {
    r.return(200, JSON.stringify(r.headersIn['X-Plain'].split(',').map(decodeURIComponent)));
}

export default { plain, vector };
