"""Writes deploy/verify/vectors.json: what every verifier has to accept, and what it has to refuse (ENV-06).

Keys and time are fixed, and every signature is deterministic (RFC 6979 for ECDSA), so the file is the same each time.
The cryptography is that of PyPI's `cryptography`, which the proxy does not use. `generate.py --check FILE` says whether
a file is what would be written. The keys here are worth nothing.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

NOW = 1_800_000_000
ISSUER = "https://members.example.org"
AUDIENCE = "members-portal"
HEADER = "X-Anteport-Assertion"
SUBJECT = "3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11.0b6d4a12-9e3f-4c75-8d21-7c1f0a5b2e90"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

POINT = ec.derive_private_key(0x2C0FFEE1, ec.SECP256R1())
OTHER_POINT = ec.derive_private_key(0xBADC0DE1, ec.SECP256R1())
LARGER_POINT = ec.derive_private_key(0x2C0FFEE3, ec.SECP384R1())
EDWARDS = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"a key for tests").digest())
OTHER_EDWARDS = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"another key for tests").digest())
RSA = serialization.load_pem_private_key(pathlib.Path(__file__).with_name("test-key.pem").read_bytes(), None)
SECRET = hashlib.sha256(b"a secret for tests").digest()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, size):
    return b64(value.to_bytes(size, "big"))


def es256(key, size=32):
    def sign(message):
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    return sign


def es256_der(message):
    return POINT.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def hs256(secret):
    return lambda message: hmac.digest(secret, message, "sha256")


def rs256(message):
    return RSA.sign(message, padding.PKCS1v15(), hashes.SHA256())


def rs512(message):
    return RSA.sign(message, padding.PKCS1v15(), hashes.SHA512())


def bytes_of(data):
    return lambda message: data


SIGN = {"ES256": es256(POINT), "EdDSA": EDWARDS.sign, "RS256": rs256, "HS256": hs256(SECRET)}
KID = {"ES256": "p-256", "EdDSA": "edwards", "RS256": "rsa", "HS256": "shared"}


def jwks():
    point, larger = (key.public_key().public_numbers() for key in (POINT, LARGER_POINT))
    point = {"kty": "EC", "crv": "P-256", "x": number(point.x, 32), "y": number(point.y, 32)}
    larger = {"kty": "EC", "crv": "P-384", "x": number(larger.x, 48), "y": number(larger.y, 48)}
    edwards = EDWARDS.public_key().public_bytes_raw()
    rsa = RSA.public_key().public_numbers()
    rsa = {"kty": "RSA", "n": number(rsa.n, 256), "e": number(rsa.e, 3)}
    return {
        "keys": [
            # A key of another algorithm under the same id comes first.
            {**rsa, "kid": "p-256", "alg": "RS256", "use": "sig"},
            {**point, "kid": "p-256", "alg": "ES256", "use": "sig"},
            {"kty": "OKP", "crv": "Ed25519", "x": b64(edwards), "kid": "edwards", "alg": "EdDSA", "use": "sig"},
            {**rsa, "kid": "rsa", "alg": "RS256", "use": "sig"},
            {"kty": "oct", "k": b64(SECRET), "kid": "shared", "alg": "HS256", "use": "sig"},
            # Good for no case: without an algorithm, without an id, with the id nought.
            {**point, "kid": "no-alg"},
            {**point, "alg": "ES256"},
            {**point, "kid": "0", "alg": "ES256"},
            # What the algorithm says and what the key is are not the same; and a kind that nobody knows yet.
            {**rsa, "kid": "rsa-as-point", "alg": "ES256"},
            {**larger, "kid": "p-384", "alg": "ES256"},
            {"kty": "LATTICE", "pub": "AAAA", "kid": "tomorrow", "alg": "ML-DSA-44"},
        ]
    }


def claims(**more):
    """Those of the proxy; a claim given as `None` is left out."""
    all_of_them = {"iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "iat": NOW - 10, "exp": NOW + 50, "sid": "k7Qm2xW9"}
    return {name: value for name, value in {**all_of_them, **more}.items() if value is not None}


def packed(value):
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def token(payload=None, algorithm="ES256", sign=None, header=None, **more):
    """A compact JWS. `more` changes its header; a value `None` leaves a field out."""
    if header is None:
        fields = {"typ": "JWT", "alg": algorithm, "kid": KID.get(algorithm, "p-256"), **more}
        header = {name: value for name, value in fields.items() if value is not None}
    payload = claims() if payload is None else payload
    message = f"{b64(packed(header).encode())}.{b64(packed(payload).encode())}"
    return f"{message}.{b64((sign or SIGN[algorithm])(message.encode()))}"


def parts(jws, header=None, payload=None, signature=None):
    """The same with other parts, under the signature that it had."""
    old = jws.split(".")
    return ".".join(new if new is not None else kept for new, kept in zip((header, payload, signature), old))


CASES = []


def case(name, why, value, expect="refused", algorithm="ES256", header=HEADER, others=()):
    """One request. `value` is the header's, or several for several lines of it."""
    values = [] if value is None else value if isinstance(value, list) else [value]
    headers = [[header, text] for text in values] + [list(pair) for pair in others]
    CASES.append({"name": name, "why": why, "algorithm": algorithm, "headers": headers, "expect": expect})


def refused_claims(name, why, **changed):
    case(name, why, token(claims(**changed)))


def told(payload, *names):
    """What of the claims has to come back."""
    return {name: payload[name] for name in ("sub", *names)}


PLAIN = (("X-Auth-User", "0b6d4a12"), ("X-Auth-Email", "treasurer@harborclub.example"), ("X-Auth-Roles", "Treasurer"))


def accepted():
    for algorithm in SIGN:
        case(f"good {algorithm}", "good", token(algorithm=algorithm), told(claims()), algorithm)
    case("good, name of the header in small letters", "good", token(), told(claims()), header=HEADER.lower())
    rich = claims(name="Łukasz Ołów", roles=["Member", "Treasurer, acting"], age=42, guest=False, note="a\u0000b \U0001f6a2")
    case("good, more claims", "good", token(rich), told(rich, "name", "roles", "age", "guest", "note"))
    case("good, beside plain headers", "good", token(), told(claims()), others=PLAIN)
    early = claims(nbf=NOW - 10)
    case("good, with nbf", "good", token(early), told(early, "nbf"))
    case("good, 29 s late", "leeway", token(claims(iat=NOW - 89, exp=NOW - 29)), told(claims()))
    case("good, 29 s early", "leeway", token(claims(iat=NOW + 29, nbf=NOW + 29, exp=NOW + 89)), told(claims()))
    case("good, without typ", "good", token(typ=None), told(claims()))


def missing():
    case("nothing", "missing", None)
    case("plain headers only", "plain headers", None, others=PLAIN)
    case("empty", "missing", "")
    case("empty beside plain headers", "plain headers", "", others=PLAIN)
    case("another header", "missing", token(), header="X-Anteport-Assertion-2")
    case("as Authorization", "missing", f"Bearer {token()}", header="Authorization")


def doubled():
    good = token()
    case("doubled", "doubled", [good, good])
    case("doubled, the second forged", "doubled", [good, token(sign=es256(OTHER_POINT))])
    case("doubled, the first forged", "doubled", [token(sign=es256(OTHER_POINT)), good])
    case("doubled, the second empty", "doubled", [good, ""])
    case("doubled, the first empty", "doubled", ["", good])
    case("doubled in one line", "doubled", f"{good}, {good}")
    case("doubled in one line, without a space", "doubled", f"{good},{good}")


def shapes():
    good = token()
    header, payload, signature = good.split(".")
    case("truncated by one", "truncated", good[:-1])
    case("truncated in the signature", "truncated", good[:-40])
    case("truncated in the payload", "truncated", good[: len(header) + 40])
    case("without a signature", "truncated", f"{header}.{payload}.")
    case("without the last dot", "truncated", f"{header}.{payload}")
    case("a fourth part", "form", f"{good}.{signature}")
    case("a dot more", "form", f"{good}.")
    case("a dot before", "form", f".{good}")
    case("only dots", "form", "..")
    case("padded", "form", f"{good}==")
    case("header padded", "form", parts(good, header=header + "="))
    case("a space within", "form", parts(good, signature=f"{signature[:20]} {signature[20:]}"))
    case("a tab within", "form", parts(good, signature=f"{signature[:20]}\t{signature[20:]}"))
    case("with a scheme", "form", f"Bearer {good}")
    case("in quotes", "form", f'"{good}"')
    case("percent-encoded", "form", good.replace(".", "%2E"))
    case("a letter beyond base64", "form", parts(good, signature="é" + signature[1:]))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    trailing = signature[:-1] + alphabet[alphabet.index(signature[-1]) + 1]
    case("trailing bits in the signature", "form", parts(good, signature=trailing))
    case("a signature of one letter more", "form", parts(good, signature=signature + "A"))
    for number_of in range(64):
        noted = token(claims(jti=str(number_of)))
        if "-" in noted.split(".")[2] and "_" in noted.split(".")[2]:
            case("ordinary base64", "form", noted.replace("-", "+").replace("_", "/"))
            break
    case("too large", "size", token(claims(note="n" * 9000)))
    case("a payload of nothing", "form", token(""))
    case("a payload that is not JSON", "form", token("iss=https://members.example.org"))
    case("a payload with more after it", "form", token(packed(claims()) + "{}"))
    case("a payload of invalid UTF-8", "form", raw_payload(packed(claims(name="?")).encode().replace(b"?", b"\xff\xfe")))
    case("a payload that is a list", "form", token([claims()]))
    case("a payload that is an empty list", "form", token("[]"))
    case("a payload that is text", "form", token(json.dumps(packed(claims()))))
    case("a payload that is a number", "form", token("1800000000"))
    case("a payload that is null", "form", token("null"))
    case("a header that is not JSON", "form", token(header="alg=ES256"))
    case("a header that is a list", "form", token(header=["ES256", "p-256"]))
    case("a header that is null", "form", token(header="null"))
    case("a header of many brackets", "form", parts(good, header=b64(b"[" * 5000)))
    case("a header of many objects", "form", parts(good, header=b64(b'{"a":' * 1100)))


def raw_payload(data):
    message = f"{good_header()}.{b64(data)}"
    return f"{message}.{b64(SIGN['ES256'](message.encode()))}"


def good_header():
    return token().split(".")[0]


def times():
    refused_claims("expired", "expired", iat=NOW - 91, exp=NOW - 31)
    refused_claims("expired for a year", "expired", iat=NOW - 31_536_060, exp=NOW - 31_536_000)
    refused_claims("early", "early", iat=NOW + 31, exp=NOW + 91)
    refused_claims("early by nbf", "early", nbf=NOW + 31)
    refused_claims("nbf as text", "type", nbf=str(NOW - 10))
    refused_claims("nbf that is true", "type", nbf=True)
    for name in ("nbf", "iat"):
        case(f"{name} that is null", "type", token({**claims(), name: None}))
    refused_claims("without exp", "missing", exp=None)
    case("exp that is null", "type", token({**claims(), "exp": None}))
    refused_claims("exp as text", "type", exp=str(NOW + 50))
    refused_claims("exp as a list", "type", exp=[NOW + 50])
    refused_claims("exp as an object", "type", exp={"at": NOW + 50})
    refused_claims("exp that is true", "type", exp=True)
    refused_claims("exp of nought", "expired", exp=0)
    refused_claims("a negative exp", "expired", exp=-(NOW + 50))
    refused_claims("exp in milliseconds", "huge", exp=(NOW + 50) * 1000)
    refused_claims("exp in an hour", "huge", exp=NOW + 3600)
    for name, huge in {"2^53": 2**53, "2^63 - 1": 2**63 - 1, "2^63": 2**63, "2^64 + now": 2**64 + NOW + 50}.items():
        refused_claims(f"exp of {name}", "huge", exp=huge)
    without = packed(claims(exp=None))[:-1]
    case("exp of 1e300", "huge", token(f'{without},"exp":1e300}}'))
    case("exp of 1e400", "huge", token(f'{without},"exp":1e400}}'))
    case("exp of a thousand digits", "huge", token(f'{without},"exp":{"9" * 1000}}}'))
    case("exp that is NaN", "type", token(f'{without},"exp":NaN}}'))
    case("exp that is Infinity", "type", token(f'{without},"exp":Infinity}}'))
    refused_claims("without iat", "missing", iat=None)
    refused_claims("iat as text", "type", iat=str(NOW - 10))
    refused_claims("iat that is false", "type", iat=False)


def members():
    refused_claims("for another portal", "wrong audience", aud="another-portal")
    refused_claims("of another portal", "wrong issuer", iss="https://another.example.org", aud="https://another.example.org")
    refused_claims("without aud", "missing", aud=None)
    refused_claims("aud with a slash more", "wrong audience", aud=AUDIENCE + "/")
    refused_claims("aud in capitals", "wrong audience", aud=AUDIENCE.upper())
    refused_claims("aud as a list of ours", "type", aud=[AUDIENCE])
    refused_claims("aud as a list of ours and another", "type", aud=[AUDIENCE, "another-portal"])
    refused_claims("aud as an object", "type", aud={AUDIENCE: True})
    refused_claims("aud that is true", "type", aud=True)
    refused_claims("aud of nought", "type", aud=0)
    refused_claims("aud of nothing", "wrong audience", aud="")
    refused_claims("without iss", "missing", iss=None)
    refused_claims("iss with a slash more", "wrong issuer", iss=ISSUER + "/")
    refused_claims("iss as a list", "type", iss=[ISSUER])
    refused_claims("without sub", "missing", sub=None)
    refused_claims("an empty sub", "missing", sub="")
    refused_claims("sub that is a number", "type", sub=7)
    refused_claims("sub that is a list", "type", sub=[SUBJECT])
    refused_claims("sub that is an object", "type", sub={"id": SUBJECT})
    doubled_claim = packed(claims())[:-1]
    case("aud said twice, the second another's", "doubled", token(f'{doubled_claim},"aud":"another-portal"}}'))
    case("exp said twice, the second long ago", "doubled", token(f'{doubled_claim},"exp":{NOW - 3600}}}'))


def signatures():
    good = token()
    case("wrong key", "wrong key", token(sign=es256(OTHER_POINT)))
    case("wrong key, its id unknown", "wrong key", token(sign=es256(OTHER_POINT), kid="other"))
    case("unknown key id", "wrong key", token(kid="other"))
    case("without a key id", "missing", token(kid=None))
    case("an empty key id", "wrong key", token(kid=""))
    case("key id that is a number", "type", token(kid=0))
    case("key id that is null", "type", token(header={"typ": "JWT", "alg": "ES256", "kid": None}))
    case("key id that is true", "type", token(kid=True))
    case("key id that is a list", "type", token(kid=["p-256"]))
    case("key id of what every object has", "wrong key", token(kid="__proto__"))
    case("a key that names no algorithm", "wrong key", token(kid="no-alg"))
    case("a key of another kind than its algorithm", "swapped", token(kid="rsa-as-point", sign=rs256))
    case("a key on another curve than its algorithm", "swapped", token(kid="p-384", sign=es256(LARGER_POINT, 48)))
    case("a key of tomorrow", "wrong key", token(kid="tomorrow"))
    case("a payload under another's signature", "forged", parts(good, payload=token(claims(sub="mallory")).split(".")[1]))
    case("a header under another's signature", "forged", parts(good, header=token(typ="at+jwt").split(".")[0]))
    case("signature of zeros", "CVE-2022-21449", token(sign=bytes_of(bytes(64))))
    case("signature of r = n, s = n", "CVE-2022-21449", token(sign=bytes_of(ORDER.to_bytes(32, "big") * 2)))
    case("signature of r = 1, s = 0", "CVE-2022-21449", token(sign=bytes_of(bytes(31) + b"\1" + bytes(32))))
    case("signature of ones", "forged", token(sign=bytes_of(b"\xff" * 64)))
    case("signature of nothing", "forged", token(sign=bytes_of(b"\0")))
    case("signature in DER", "form", token(sign=es256_der))
    case("signature with a byte of zero before r and s", "form", token(sign=widened))
    case("signature of twice the size", "form", token(sign=lambda message: SIGN["ES256"](message) * 2))


def widened(message):
    signature = SIGN["ES256"](message)
    return b"\0" + signature[:32] + b"\0" + signature[32:]


def algorithms():
    good = token()
    for name in ("none", "None", "NONE", "nOnE"):
        case(f"{name}, no signature", "none", parts(token(alg=name), signature=""))
    case("none, with a good signature", "none", token(alg="none"))
    case("none, signature of one byte", "none", token(alg="none", sign=bytes_of(b"\0")))
    case("alg in small letters", "swapped", token(alg="es256"))
    case("alg with a space", "swapped", token(alg="ES256 "))
    case("without alg", "missing", token(alg=None))
    case("alg that is null", "type", token(header={"typ": "JWT", "alg": None, "kid": "p-256"}))
    case("alg that is a list", "type", token(alg=["ES256"]))
    case("alg that is true", "type", token(alg=True))
    case("alg of nought", "type", token(alg=0))
    case("alg ES384", "swapped", token(alg="ES384"))
    doubled_alg = '{"typ":"JWT","alg":"ES256","kid":"p-256","alg":"none"}'
    case("alg said twice, the second none", "doubled", token(header=doubled_alg))
    point = POINT.public_key()
    pem = point.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = point.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    raw = point.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    key = jwks()["keys"][1]
    secrets = {
        "PEM": pem, "PEM without its last line end": pem.rstrip(), "DER": der, "point": raw,
        "JWK": packed(key).encode(), "x": key["x"].encode(), "empty secret": b"",
    }
    for name, secret in secrets.items():
        case(f"HS256 with the public key's {name}", "swapped", token(alg="HS256", sign=hs256(secret)))
    case("HS256 by its own key", "swapped", token(algorithm="HS256"))
    case("RS256 by its own key", "swapped", token(algorithm="RS256"))
    case("EdDSA by its own key", "swapped", token(algorithm="EdDSA"))
    case("RS256 by a key with the same id", "swapped", token(algorithm="RS256", kid="p-256"))
    case("RS256 by a key with the same id, called ES256", "swapped", token(sign=rs256))
    for algorithm in ("EdDSA", "RS256", "HS256"):
        for other in SIGN:
            if other != algorithm:
                case(f"{other} where {algorithm} is wanted", "swapped", token(algorithm=other), algorithm=algorithm)
                case(f"{other} called {algorithm}", "swapped", token(alg=algorithm, algorithm=other), algorithm=algorithm)
        good = token(algorithm=algorithm)
        case(f"none where {algorithm} is wanted", "none", parts(token(alg="none", kid=KID[algorithm]), signature=""), algorithm=algorithm)
        case(f"{algorithm} in small letters", "swapped", token(algorithm=algorithm, alg=algorithm.lower()), algorithm=algorithm)
        case(f"{algorithm} without a signature", "truncated", parts(good, signature=""), algorithm=algorithm)
        case(f"{algorithm} truncated", "truncated", good[:-4], algorithm=algorithm)
        case(f"{algorithm} expired", "expired", token(claims(iat=NOW - 91, exp=NOW - 31), algorithm), algorithm=algorithm)
        case(f"{algorithm} for another portal", "wrong audience", token(claims(aud="another-portal"), algorithm), algorithm=algorithm)
        case(f"{algorithm} under another's signature", "forged", parts(good, payload=token(claims(sub="mallory")).split(".")[1]), algorithm=algorithm)
        zeros = bytes(len(SIGN[algorithm](b"")))
        case(f"{algorithm} with a signature of zeros", "forged", token(algorithm=algorithm, sign=bytes_of(zeros)), algorithm=algorithm)
        case(f"{algorithm} with plain headers only", "plain headers", None, algorithm=algorithm, others=PLAIN)
    case("EdDSA by a wrong key", "wrong key", token(algorithm="EdDSA", sign=OTHER_EDWARDS.sign), algorithm="EdDSA")
    case("EdDSA with s beyond the order", "malleable", token(algorithm="EdDSA", sign=unreduced), algorithm="EdDSA")
    case("HS256 with the secret as it is written", "wrong key", token(algorithm="HS256", sign=hs256(b64(SECRET).encode())), algorithm="HS256")
    case("HS256 with an empty secret", "wrong key", token(algorithm="HS256", sign=hs256(b"")), algorithm="HS256")
    rsa_pem = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    case("HS256 with the RSA key's PEM", "swapped", token(alg="HS256", kid="rsa", sign=hs256(rsa_pem)), algorithm="RS256")
    case("RS512", "swapped", token(alg="RS512", kid="rsa", sign=rs512), algorithm="RS256")
    case("RS512 called RS256", "swapped", token(algorithm="RS256", sign=rs512), algorithm="RS256")


def unreduced(message):
    """The same signature with s + L, which RFC 8032, section 5.1.7, refuses."""
    signature = EDWARDS.sign(message)
    order = 2**252 + 27742317777372353535851937790883648493
    return signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")


def brought_along():
    """Keys and rules that the token brings along."""
    other = OTHER_POINT.public_key().public_numbers()
    own = {"kty": "EC", "crv": "P-256", "x": number(other.x, 32), "y": number(other.y, 32), "kid": "p-256", "alg": "ES256"}
    forged = es256(OTHER_POINT)
    case("a key in the header", "forged", token(jwk=own, sign=forged))
    case("a key in the header, its id unknown", "forged", token(jwk={**own, "kid": "own"}, kid="own", sign=forged))
    case("an address of keys", "forged", token(jku="http://127.0.0.1:1/jwks.json", kid="own", sign=forged))
    case("an address of a certificate", "forged", token(x5u="http://127.0.0.1:1/chain.pem", sign=forged))
    case("a certificate", "forged", token(x5c=["MIIB"], sign=forged))
    case("a file as key id", "forged", token(kid="../../../../dev/null", alg="HS256", sign=hs256(b"")))
    case("a key id for a database", "forged", token(kid="p-256' UNION SELECT 'x", sign=forged))
    case("crit", "crit", token(crit=["exp"]))
    case("crit of what nobody knows", "crit", token(crit=["urn:example:rule"], **{"urn:example:rule": True}))
    case("crit of nothing", "crit", token(crit=[]))
    case("crit that is null", "crit", token(header={"typ": "JWT", "alg": "ES256", "kid": "p-256", "crit": None}))
    header = {"alg": "ES256", "kid": "p-256", "b64": False}
    for name, fields in (("b64", header), ("b64 and crit", {**header, "crit": ["b64"]})):
        first, payload = b64(packed(fields).encode()), packed(claims())
        signature = b64(SIGN["ES256"](f"{first}.{payload}".encode()))
        case(f"{name}, the payload coded", "crit", f"{first}.{b64(payload.encode())}.{signature}")


# What a plain header says, and the list that it stands for.
DECODED = [
    ("Ines Caldera", ["Ines Caldera"]),
    ("%C5%81ukasz 100%25", ["Łukasz 100%"]),
    ("Member,Treasurer", ["Member", "Treasurer"]),
    ("a%2Cb,c", ["a,b", "c"]),
    ("1+1=2", ["1+1=2"]),
    ("%20ends%20", [" ends "]),
    ("a,,b,", ["a", "", "b", ""]),
    ("%2541", ["%41"]),
    ("%F0%9F%9A%A2", ["\U0001f6a2"]),
    ("%0A%00%7F", ["\n\0\x7f"]),
    ("a%3Db;c%26d", ["a=b;c&d"]),
]


def vectors():
    for group in (accepted, missing, doubled, shapes, times, members, signatures, algorithms, brought_along):
        group()
    names = [case["name"] for case in CASES]
    assert len(names) == len(set(names)), "two cases of one name"
    head = {"now": NOW, "leeway": 30, "issuer": ISSUER, "audience": AUDIENCE, "header": HEADER, "keys": jwks()["keys"]}
    lines = [f'  "{name}": {json.dumps(value)}' for name, value in head.items() if name != "keys"]
    rows = {
        "keys": head["keys"],
        "cases": CASES,
        "plain": [{"header": header, "list": decoded} for header, decoded in DECODED],
    }
    for name, values in rows.items():
        lines.append(f'  "{name}": [\n' + ",\n".join(f"    {json.dumps(value)}" for value in values) + "\n  ]")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    text = vectors()
    if sys.argv[1:2] == ["--check"]:
        sys.exit(0 if pathlib.Path(sys.argv[2]).read_text() == text else "the vectors are not what generate.py writes")
    sys.stdout.write(text)
