"""The keys of Anteport, for anteport.py beside it: fetched and kept."""

import json
import logging
import re
import threading
import time
from urllib.request import HTTPRedirectHandler, ProxyHandler, build_opener

FRESH = 300  # seconds for which nobody asks again
PAUSE = 10  # between two questions, whatever is wanted
LAST = 1200  # after these, what could not be renewed counts no more
# Whoever can change the keys on their way is everybody: they come over TLS, from this machine, or out of a file.
SAFE = re.compile(r"https://|http://(127\.0\.0\.1|\[::1\]|localhost)(:[0-9]+)?/|file:///")


class Unavailable(Exception):
    """There are no keys to verify with. It says nothing about who asks, who may come again."""


class NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


# The keys come from where they are said to be: no proxy of the environment has a part in it, and no redirect.
OPENER = build_opener(ProxyHandler({}), NoRedirect)
OPENER.addheaders.append(("Cache-Control", "no-cache"))  # A cache on the way may have a key that was withdrawn.


class Keys:
    def __init__(self, source, kind):
        if "://" in source and not SAFE.match(source):
            raise ValueError("anteport: keys come over https, from this machine or out of a file alone")
        self.source, self.kind, self.lock = source, kind, threading.Lock()
        self.keys, self.asked, self.got = {}, float("-inf"), float("-inf")

    def find(self, kid):
        """The key of that id. Who has to wait for the answer is who asks, and who has no key without it."""
        if self.is_due(kid) or not self.kept(kid):
            with self.lock:
                if self.is_due(kid):
                    self.ask()
        key = self.kept(kid)
        if not key and self.got < self.asked:
            raise Unavailable("the keys cannot be had")
        if not key:
            raise KeyError(kid)
        return key

    def kept(self, kid):
        return self.keys.get(kid) if time.monotonic() - self.got < LAST else None

    def is_due(self, kid):
        now = time.monotonic()
        return now - self.asked > PAUSE and (now - self.got > FRESH or kid not in self.keys)

    def ask(self):
        """What cannot be read changes nothing yet: one bad answer turns nobody away."""
        self.asked = time.monotonic()
        try:
            with OPENER.open(self.source, timeout=5) if "://" in self.source else open(self.source) as text:
                keys = {key["kid"]: key for key in json.load(text)["keys"] if self.fits(key)}
            if not keys:
                raise ValueError(f"none of them is for {self.kind[0]}")
            self.keys, self.got = keys, time.monotonic()
        except Exception as failed:
            logging.getLogger("anteport").warning("no keys from %s: %r", self.source, failed)

    def fits(self, key):
        return isinstance(key, dict) and isinstance(key.get("kid"), str) and self.kind == tuple(
            map(key.get, ("alg", "kty", "crv")))
