"""The smallest portals on WSGI and Django. `portal.py vectors FILE KEYS` judges every case; a WSGI server finds `wsgi`
and `django`, which answer who is asking."""

import json
import logging
import os
import pathlib
import sys
from urllib.parse import unquote

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "deploy" / "verify" / "python"))

import anteport  # noqa: E402

SETTINGS = {name: os.environ.get(f"ANTEPORT_{name.upper()}", "") for name in ("issuer", "audience", "keys")}


def plain(header):
    """A plain header as a list."""
    return list(map(unquote, header.split(",")))


def vectors(file, keys):
    logging.disable()
    given = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))
    results = {}
    for case in given["cases"]:
        verifier = anteport.Verifier(given["issuer"], given["audience"], keys, case["algorithm"])
        values = [value for name, value in case["headers"] if name.lower() == given["header"].lower()]
        # As WSGI's servers do it.
        value = ",".join(values) if values else None
        try:
            results[case["name"]] = verifier.verify(value, given["now"])
        except Exception:  # It is what most of them are there for.
            results[case["name"]] = None
    print(json.dumps({"results": results, "plain": [plain(one["header"]) for one in given["plain"]]}))


def told(claims, assertion):
    return json.dumps({"sub": claims["sub"], "assertion": assertion}).encode()


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [told(environ["anteport"], environ["HTTP_X_ANTEPORT_ASSERTION"])]


wsgi = anteport.Wsgi(application, anteport.Verifier(**SETTINGS))


def django(environ, start_response, made=[]):
    if not made:
        made.append(django_application())
    return made[0](environ, start_response)


def django_application():
    import django as framework
    from django.conf import settings
    from django.http import HttpResponse
    from django.urls import re_path

    def page(request):
        return HttpResponse(told(request.anteport, request.headers["X-Anteport-Assertion"]), content_type="application/json")

    urls = type("Urls", (), {"urlpatterns": [re_path("", page)]})
    settings.configure(
        ALLOWED_HOSTS=["*"], ANTEPORT=SETTINGS, MIDDLEWARE=["anteport_django.Members"], ROOT_URLCONF=urls, SECRET_KEY="throwaway"
    )
    framework.setup(set_prefix=False)
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


if __name__ == "__main__" and sys.argv[1] == "vectors":
    vectors(*sys.argv[2:])
