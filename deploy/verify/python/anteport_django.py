"""Who is asking, for Django: anteport.py beside it verifies.

`MIDDLEWARE = ["anteport_django.Members", ...]` before all others, and in settings.py
`ANTEPORT = {"issuer": ..., "audience": ..., "keys": ...}`; `request.anteport["sub"]` says who it is.
"""

import logging

from django.conf import settings
from django.http import HttpResponse

from anteport import HEADERS, SENTENCE, Verifier


class Members:
    """The middleware: `request.anteport` has the claims, and nobody comes further without."""

    def __init__(self, get_response):
        self.get_response, self.verifier = get_response, Verifier(**settings.ANTEPORT)

    def __call__(self, request):
        try:
            request.anteport = self.verifier.verify(request.META.get("HTTP_X_ANTEPORT_ASSERTION"))
        except Exception as refused:  # Whatever it was: who cannot be verified is not let through.
            logging.getLogger("anteport").warning("refused: %r", refused)
            return HttpResponse(SENTENCE, status=401, headers=HEADERS)
        return self.get_response(request)
