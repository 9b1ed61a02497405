"""Who is asking, for WSGI: verifies the assertion that Anteport sends with each request of a member.
Python 3.8 or later with PyJWT 2.3 and `cryptography` (Debian: python3-jwt, python3-cryptography). Two files:
this one and anteport_keys.py.

    application = anteport.Wsgi(application, anteport.Verifier(
        issuer="https://members.example.org", audience="https://members.example.org",
        keys="https://members.example.org/.auth/jwks.json"))  # or the path of a file
    environ["anteport"]["sub"]                                # says who it is

For Django there is anteport_django.py beside it.
"""

import base64
import json
import logging
import time

import jwt

from anteport_keys import Keys, Unavailable

LEEWAY = 30  # seconds that two clocks may differ
LONGEST = 300  # an assertion lives for a minute: one that claims more is not ours
LARGEST = 8192
SENTENCE = b"Please sign in: this request does not say who you are.\n"
LATER = b"Please try again in a moment: who you are cannot be verified now.\n"
HEADERS = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
# What a key has to be. The token has no say in it, nor in how the key verifies.
KINDS = {"ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519"), "RS256": ("RSA", None), "HS256": ("oct", None)}


def must(truth, why):
    if not truth:
        raise ValueError(why)


def decoded(part):
    """Strict base64url: no padding, no white space, no bits left over."""
    data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    must(base64.urlsafe_b64encode(data).rstrip(b"=").decode() == part, "a part is not base64url")
    return data


class Verifier:
    def __init__(self, issuer, audience, keys, algorithm="ES256"):
        self.issuer, self.audience, self.algorithm = issuer, audience, algorithm
        self.keys = Keys(keys, (algorithm, *KINDS[algorithm]))

    def verify(self, value, now=None):
        """From the header (WSGI has joined what came doubled by a comma) to the member's claims, or an exception."""
        now = time.time() if now is None else now
        must(value and len(value) <= LARGEST, "one assertion is needed")
        head, body, last = value.split(".")
        header, claims = (json.loads(decoded(part).decode()) for part in (head, body))
        must(header["alg"] == self.algorithm and "crit" not in header, "another algorithm")
        key = jwt.PyJWK(self.keys.find(header["kid"]), self.algorithm)
        must(key.Algorithm.verify(f"{head}.{body}".encode(), key.key, decoded(last)), "no key of Anteport signed it")
        must(claims["iss"] == self.issuer and claims["aud"] == self.audience, "for another portal")
        must(isinstance(claims["sub"], str) and claims["sub"], "about nobody")
        expires, issued, begins = claims["exp"], claims["iat"], claims.get("nbf", 0)
        must(all(type(at) in (int, float) for at in (expires, issued, begins)), "a time is no number")
        must(now - LEEWAY < expires <= now + LONGEST, "expired")
        must(issued <= now + LEEWAY and begins <= now + LEEWAY, "from the future")
        return claims


def answer(refused):
    """What somebody hears who is not let through: status, header fields, a sentence."""
    logging.getLogger("anteport").warning("refused: %r", refused)
    if isinstance(refused, Unavailable):
        return "503 Service Unavailable", {**HEADERS, "Retry-After": "10"}, LATER
    return "401 Unauthorized", HEADERS, SENTENCE


class Wsgi:
    """The middleware: `environ["anteport"]` has the claims, and nobody comes further without."""

    def __init__(self, application, verifier):
        self.application, self.verifier = application, verifier

    def __call__(self, environ, start_response):
        try:
            environ["anteport"] = self.verifier.verify(environ.get("HTTP_X_ANTEPORT_ASSERTION"))
        except Exception as refused:  # Whatever it was: who cannot be verified is not let through.
            status, headers, sentence = answer(refused)
            start_response(status, list(headers.items()))
            return [sentence]
        return self.application(environ, start_response)
