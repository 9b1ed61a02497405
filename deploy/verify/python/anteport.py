"""Who is asking, for WSGI and Django: verifies the assertion that Anteport sends with each request of a member.
Python 3.8 or later with PyJWT 2 and `cryptography` (Debian: python3-jwt, python3-cryptography).

    application = anteport.Wsgi(application, anteport.Verifier(
        issuer="https://members.example.org", audience="https://members.example.org",
        keys="http://127.0.0.1:8080/.auth/jwks.json"))       # or the path of a file
    environ["anteport"]["sub"]                               # says who it is

In Django, `MIDDLEWARE = ["anteport.Django", ...]` before all others, and in settings.py
`ANTEPORT = {"issuer": ..., "audience": ..., "keys": ...}`; `request.anteport["sub"]` says who it is.
"""

import base64
import json
import logging
import re
import threading
import time
import urllib.request

import jwt

LEEWAY = 30  # seconds that two clocks may differ
LONGEST = 300  # an assertion lives for a minute: one that claims more is not ours
LARGEST = 8192
FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
SENTENCE = b"Please sign in: this request does not say who you are.\n"
HEADERS = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
# What a key has to be. The token has no say in it, nor in how the key verifies.
KINDS = {"ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519"), "RS256": ("RSA", None), "HS256": ("oct", None)}


class Refused(Exception):
    """This request does not say who is asking."""


def must(truth, why):
    if not truth:
        raise Refused(why)


class Verifier:
    def __init__(self, issuer, audience, keys, algorithm="ES256"):
        self.issuer, self.audience, self.source, self.algorithm = issuer, audience, keys, algorithm
        self.kty, self.crv = KINDS[algorithm]
        self.keys, self.asked, self.lock = [], None, threading.Lock()

    def verify(self, value, now=None):
        """From the header (WSGI has joined what came doubled by a comma) to the member's claims, or `Refused`."""
        try:
            return self.claims(value or "", time.time() if now is None else now)
        except Exception as error:  # Whatever it was: who cannot be verified is not let through.
            logging.getLogger("anteport").warning("refused: %r", error)
            raise Refused("not verified") from error

    def claims(self, value, now):
        must(len(value) <= LARGEST and FORM.fullmatch(value), "one assertion of three parts is needed")
        last = value.rpartition(".")[2]
        exact = base64.urlsafe_b64encode(base64.urlsafe_b64decode(last + "=" * (-len(last) % 4)))
        must(exact.rstrip(b"=").decode() == last, "bits are left over")
        header = jwt.get_unverified_header(value)
        must(header.get("alg") == self.algorithm and "crit" not in header, "another algorithm")
        key = jwt.PyJWK(self.find(header.get("kid")), self.algorithm).key
        claims = json.loads(jwt.PyJWS().decode(value, key, algorithms=[self.algorithm]).decode())
        must(claims["iss"] == self.issuer and claims["aud"] == self.audience, "for another portal")
        must(isinstance(claims["sub"], str) and claims["sub"], "about nobody")
        expires, issued, begins = (claims["exp"], claims["iat"], claims.get("nbf", 0))
        must(all(type(at) in (int, float) for at in (expires, issued, begins)), "a time is no number")
        must(now - LEEWAY < expires <= now + LONGEST, "expired")
        must(issued <= now + LEEWAY and begins <= now + LEEWAY, "from the future")
        return claims

    def find(self, kid):
        """The key set is kept for five minutes; an unknown key id asks again, at most every ten seconds."""
        wanted = {"kid": kid, "alg": self.algorithm, "kty": self.kty, "crv": self.crv}
        with self.lock:
            found = [key for key in self.keys if all(key.get(name) == wanted[name] for name in wanted)]
            if self.asked is None or time.monotonic() - self.asked > (300 if found else 10):
                # What cannot be read is empty: without keys everybody is refused.
                self.keys, self.asked = [], time.monotonic()
                is_url = re.match("https?:", self.source)
                with urllib.request.urlopen(self.source, timeout=5) if is_url else open(self.source) as source:
                    self.keys = [key for key in json.load(source)["keys"] if isinstance(key, dict)]
                found = [key for key in self.keys if all(key.get(name) == wanted[name] for name in wanted)]
            must(isinstance(kid, str) and found, "no such key")
            return found[0]


class Wsgi:
    """The middleware: `environ["anteport"]` has the claims, and nobody comes further without."""

    def __init__(self, application, verifier):
        self.application, self.verifier = application, verifier

    def __call__(self, environ, start_response):
        try:
            environ["anteport"] = self.verifier.verify(environ.get("HTTP_X_ANTEPORT_ASSERTION"))
        except Refused:
            start_response("401 Unauthorized", list(HEADERS.items()))
            return [SENTENCE]
        return self.application(environ, start_response)


class Django:
    """The same for Django: `request.anteport` has the claims."""

    def __init__(self, get_response):
        from django.conf import settings

        self.get_response, self.verifier = get_response, Verifier(**settings.ANTEPORT)

    def __call__(self, request):
        from django.http import HttpResponse

        try:
            request.anteport = self.verifier.verify(request.META.get("HTTP_X_ANTEPORT_ASSERTION"))
        except Refused:
            return HttpResponse(SENTENCE, status=401, headers=HEADERS)
        return self.get_response(request)
