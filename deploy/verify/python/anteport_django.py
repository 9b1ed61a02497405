"""Who is asking, for Django: anteport.py and anteport_keys.py beside it verify.

`MIDDLEWARE = ["anteport_django.Members", ...]` before all others, and in settings.py
`ANTEPORT = {"issuer": ..., "audience": ..., "keys": ...}`; `request.anteport["sub"]` says who it is.
"""

from django.conf import settings
from django.http import HttpResponse

from anteport import Verifier, answer


class Members:
    """The middleware: `request.anteport` has the claims, and nobody comes further without."""

    def __init__(self, get_response):
        self.get_response, self.verifier = get_response, Verifier(**settings.ANTEPORT)

    def __call__(self, request):
        try:
            request.anteport = self.verifier.verify(request.META.get("HTTP_X_ANTEPORT_ASSERTION"))
        except Exception as refused:  # Whatever it was: who cannot be verified is not let through.
            status, headers, sentence = answer(refused)
            return HttpResponse(sentence, status=int(status[:3]), headers=headers)
        return self.get_response(request)
