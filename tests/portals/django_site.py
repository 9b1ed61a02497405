"""A Django site in one file: administration, accounts, a page, a form. `python django_site.py fill` makes its database."""

import base64
import json
import os
import sys

import django
from django.conf import settings

DATABASE = os.environ["ANTEPORT_DATABASE"]

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    AUTH_PASSWORD_VALIDATORS=[],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    EMAIL_BACKEND="django_site.Letters",
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "django.contrib.staticfiles",
    ],
    LOGIN_REDIRECT_URL="/",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.locale.LocaleMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    # The cheapest, so that hundreds of logins take no minute.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF="django_site",
    SECRET_KEY="throwaway",
    STATIC_URL="/static/",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
)
if __name__ == "__main__":
    sys.modules["django_site"] = sys.modules["__main__"]
django.setup()

from django.conf.urls.i18n import i18n_patterns  # noqa: E402
from django.contrib import admin  # noqa: E402
from django.contrib.auth import authenticate  # noqa: E402
from django.contrib.auth.forms import UserCreationForm  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.auth.views import LoginView  # noqa: E402
from django.contrib.staticfiles.views import serve  # noqa: E402
from django.core.mail.backends.base import BaseEmailBackend  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse, JsonResponse  # noqa: E402
from django.middleware.csrf import get_token  # noqa: E402
from django.urls import include, path, re_path  # noqa: E402
from django.utils.html import escape  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402


class Letters(BaseEmailBackend):
    """Letters that would be sent are lines of a file."""

    def send_messages(self, letters):
        with open(DATABASE + ".letters", "a", encoding="utf-8") as file:
            for letter in letters:
                file.write(f"{letter.to} {letter.subject} {letter.body!r}\n")
        return len(letters)


def front(request):
    return HttpResponse("<h1>Harbor club</h1>")


def whoami(request):
    return HttpResponse(f"you are {escape(request.user.username) or 'nobody'}")


def berths(request):
    wish = request.POST.get("wish") or request.GET.get("q", "")
    return HttpResponse(
        f'<form method="post"><input type="hidden" name="csrfmiddlewaretoken" value="{get_token(request)}">'
        f'<input name="wish"></form><p>You looked for {escape(wish)}</p>'
    )


def signup(request):
    form = UserCreationForm(request.POST)
    if request.method == "POST" and form.is_valid():
        form.save()
        return HttpResponse("welcome")
    return HttpResponse("no", status=400)


def greet(user):
    return JsonResponse({"text": f"you are {user.username}"} if user else {}, status=200 if user else 401)


@csrf_exempt
def token(request):
    """As the token views of REST frameworks do."""
    try:
        sent = json.loads(request.body)
        return greet(authenticate(username=sent["username"], password=sent["password"]))
    except (ValueError, KeyError, TypeError):
        return greet(None)


def basic(request):
    """As BasicAuthentication of REST frameworks does."""
    scheme, _, word = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return greet(None)
    name, _, password = base64.b64decode(word).decode().partition(":")
    return greet(authenticate(username=name, password=password))


def state(request):
    """The accounts and the letters to their people, for whoever attacks."""
    accounts = User.objects.order_by("pk").values_list("username", "password", "email")
    with open(DATABASE + ".letters", encoding="utf-8") as file:
        return HttpResponse(f"{list(accounts)} {file.read()}", content_type="text/plain")


urlpatterns = [
    path("state/", state),
    path("", front),
    path("whoami/", whoami),
    path("berths/", berths),
    path("berths/<int:number>/", lambda request, number: HttpResponse(f"Berth {number}")),
    path("api/berths/", lambda request: JsonResponse({"berth": 7})),
    path("api/token/", token),
    path("basic/", basic),
    path("admin/", admin.site.urls),
    path("accounts/signup/", signup),
    path("accounts/login/", LoginView.as_view(template_name="admin/login.html")),
    path("accounts/", include("django.contrib.auth.urls")),
    re_path(r"^static/(?P<path>.*)$", serve, {"insecure": True}),
]
urlpatterns += i18n_patterns(path("accounts/", include("django.contrib.auth.urls")))
application = get_wsgi_application()

if __name__ == "__main__" and sys.argv[1:] == ["fill"]:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    User.objects.create_superuser("clerk", "clerk@harborclub.example", os.environ["ANTEPORT_PASSWORD"])
    open(DATABASE + ".letters", "w", encoding="utf-8").close()
