"""MSAL for Python against the emulator: each step has to end as it does at Microsoft's."""

import os
import re
from html import unescape
from urllib.parse import urljoin

import msal
import requests

EMULATOR = os.environ["EMULATOR"]
CA = os.environ["CA"]
WORK = os.environ["WORK"]
CLIENT = "5d2e8b91-7f06-4c3a-a1d4-6b9c0e8f2a75"
SECRET = "a secret~ with/reserved+characters="
ENTRA = f"{EMULATOR}/0a6f3d18-92c4-4b7e-8d51-c3e9f7a2b640"
B2C = f"{EMULATOR}/contoso.onmicrosoft.com/B2C_1_signupsignin"
MEMBER = "member@0a6f3d18.example"
PORTAL = "http://127.0.0.1:8080/.auth/login"


def application(authority, credential=SECRET):
    return msal.ConfidentialClientApplication(
        CLIENT, authority=authority, client_credential=credential, instance_discovery=False, verify=CA
    )


def sign_in(url, username):
    """Fills in the form as a browser would; the fields that it would post to the application."""
    browser = requests.Session()
    browser.verify = CA
    page = browser.get(url)
    assert "EMULATOR – not Microsoft" in page.text, page.text
    action = unescape(re.search(r'<form method="post" action="([^"]*)"', page.text).group(1))
    form = {"username": username, "password": "demo"}
    back = browser.post(urljoin(page.url, action), data=form, allow_redirects=False)
    assert "document.forms[0].submit()" in back.text, back.text
    return fields(back.text)


def fields(page):
    """What a posting page holds."""
    return {name: unescape(value) for name, value in re.findall(r'name="([^"]*)" value="([^"]*)"', page)}


def begin(app, scopes, provider):
    redirect_uri = f"{PORTAL}/{provider}/callback"
    return app.initiate_auth_code_flow(scopes, redirect_uri=redirect_uri, response_mode="form_post")


def tell(kind, **words):
    answer = requests.post(f"{EMULATOR}/_emulator/{kind}", data=words, verify=CA)
    assert answer.status_code == 200, answer.text


def log_in(app, scopes, provider, username):
    flow = begin(app, scopes, provider)
    return app.acquire_token_by_auth_code_flow(flow, sign_in(flow["auth_uri"], username))


def refresh(app, scopes):
    (account,) = app.get_accounts()
    return app.acquire_token_silent_with_error(scopes, account=account, force_refresh=True)


def entra_signs_in_and_refreshes():
    app = application(ENTRA)
    scopes = ["User.Read"]
    result = log_in(app, scopes, "corporate", MEMBER)
    claims = result["id_token_claims"]
    assert claims["preferred_username"] == MEMBER, result
    assert claims["iss"] == f"{ENTRA}/v2.0"
    (account,) = app.get_accounts()
    assert account["username"] == MEMBER
    assert account["home_account_id"] == f"{claims['oid']}.{claims['tid']}"
    renewed = refresh(app, scopes)
    assert renewed["access_token"] != result["access_token"], renewed
    assert renewed["token_source"] == "identity_provider"
    tell("set", revoke=MEMBER)
    refused = refresh(app, scopes)
    assert refused["error"] == "invalid_grant" and refused["error_codes"] == [50173], refused
    assert refused["suberror"] == "bad_token"


def b2c_signs_in_and_refreshes():
    app = application(B2C)
    scopes = [CLIENT]
    result = log_in(app, scopes, "members", "member@mail.example")
    assert result["id_token_claims"]["tfp"] == "B2C_1_signupsignin", result
    assert refresh(app, scopes)["access_token"] != result["access_token"]


def certificate(name):
    with open(f"{WORK}/{name}.key") as key, open(f"{WORK}/{name}.pem") as public:
        return {"private_key": key.read(), "public_certificate": public.read()}


def a_certificate_stands_in_for_the_secret():
    app = application(ENTRA, certificate("client"))
    scopes = ["User.Read"]
    result = log_in(app, scopes, "corporate", MEMBER)
    assert result.get("id_token_claims", {}).get("preferred_username") == MEMBER, result
    assert refresh(app, scopes)["access_token"] != result["access_token"]
    refused = log_in(application(ENTRA, certificate("stranger")), scopes, "corporate", MEMBER)
    assert refused["error"] == "invalid_client" and refused["error_codes"] == [700027], refused


def what_goes_wrong_has_microsofts_names():
    wrong = log_in(application(ENTRA, "guess"), ["User.Read"], "corporate", MEMBER)
    assert wrong["error"] == "invalid_client" and wrong["error_codes"] == [7000215], wrong
    tell("next", token="wrong_nonce")
    try:
        log_in(application(ENTRA), ["User.Read"], "corporate", MEMBER)
    except RuntimeError as error:
        assert "nonce" in str(error), error
    else:
        raise AssertionError("MSAL believed a token of another login")
    app = application(ENTRA)
    flow = begin(app, ["User.Read"], "corporate")
    tell("next", redirect="AADSTS65004")
    back = requests.get(flow["auth_uri"], verify=CA)
    refused = app.acquire_token_by_auth_code_flow(flow, fields(back.text))
    assert refused["error"] == "access_denied", refused
    assert refused["error_description"].startswith("AADSTS65004"), refused


for step in [
    entra_signs_in_and_refreshes,
    b2c_signs_in_and_refreshes,
    a_certificate_stands_in_for_the_secret,
    what_goes_wrong_has_microsofts_names,
]:
    step()
    print(f"MSAL {msal.__version__} for Python: {step.__name__.replace('_', ' ')}")
