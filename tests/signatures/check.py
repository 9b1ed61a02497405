"""A portal that believes signatures alone, behind the real binary: what it gets, and what somebody makes of it on the way."""

import base64
import http.client
import http.server
import json
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
from email.message import Message
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, InvalidSignature, algorithms

ANTEPORT = os.environ["ANTEPORT"]
SECRET = os.urandom(32)
NAMES = {"x-auth-user", "x-auth-email", "x-anteport-assertion"}
MEMBER = "member@contoso.example"
NAVIGATION = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-site": "none"}
FORM = {"content-type": "application/x-www-form-urlencoded"}

# What docs/message-signatures.md tells portals to run.
page = Path("docs/message-signatures.md").read_text()
code = {language: re.search(rf"```{language}\n(.*?)```", page, re.S).group(1) for language in ("python", "php")}
documented = {}
exec(compile(code["python"], "docs/message-signatures.md", "exec"), documented)
Keys, who = documented["Keys"], documented["who"]


class Portal(http.server.BaseHTTPRequestHandler):
    """Remembers what came last, as it came."""

    protocol_version = "HTTP/1.1"
    last = None

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        Portal.last = SimpleNamespace(method=self.command, target=self.path, headers=self.headers, body=body)
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_GET = do_POST = do_DELETE = do_PUT = answer

    def log_message(self, *_):
        pass


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


CONFIG = """
listen: {{ address: "127.0.0.1:{port}" }}
admin: {{ address: "127.0.0.1:{admin}" }}
logging: {{ level: warn, access: false }}
providers:
  corporate:
    kind: entra_id
    tenant: contoso.example
    client_id: a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20
    credentials: [ {{ secret: {{ value: any }} }} ]
signing: {{ keys: [ {{ file: keys.pem }} ] }}
portals:
"""
PORTAL = """
  - public_url: http://{host}:{port}
    upstream: {{ url: "http://127.0.0.1:{portal}" }}
    mode: {mode}
    local_login: {{ password_routes: [ {{ path: /pay, form: {{ password: "*" }} }} ] }}
    identity:
      headers: {{ X-Auth-User: oid, X-Auth-Email: email, X-Auth-Phone: phone_number }}
      signature: {{ algorithm: {algorithm}{secret} }}
"""
HOSTS = {
    "ed25519": ("127.0.0.1", "azure_only"),
    "hmac-sha256": ("127.0.0.2", "azure_only"),
    "ecdsa-p256-sha256": ("127.0.0.3", "optional"),
    "rsa-v1_5-sha256": ("localhost", "report_only"),
}


class Visitor:
    """Connects to this machine, whatever the host is called; its cookies are for one proxy."""

    def __init__(self, port, host):
        self.port, self.host, self.jar = port, f"{host}:{port}", {}

    def ask(self, method, target, headers=None, body=None, to=None):
        port, host = (self.port, self.host) if to is None else (to.port, to.netloc)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("host", host)
        if to is None and self.jar:
            connection.putheader("cookie", "; ".join(f"{name}={value}" for name, value in self.jar.items()))
        for name, value in (headers or NAVIGATION).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        answer.text = answer.read().decode()
        connection.close()
        for line in answer.headers.get_all("set-cookie") or [] if to is None else []:
            pair, *attributes = line.split(";")
            name, value = pair.split("=", 1)
            if any(one.strip().lower() == "max-age=0" for one in attributes):
                self.jar.pop(name, None)
            else:
                self.jar[name] = value
        return answer

    def sign_in(self, target):
        """As a browser does: to the provider, whose form takes a name, and back."""
        answer = self.ask("GET", target)
        url = urlsplit(answer.headers["location"])
        page = self.ask("GET", f"{url.path}?{url.query}", to=url)
        form = re.search(r'<form method="post" action="([^"]*)"(.*?)</form>', page.text, re.S)
        fields = re.findall(r'name="([^"]*)" value="([^"]*)"', form.group(2))
        fields = {name: unescape(value) for name, value in fields} | {"username": MEMBER, "password": "demo"}
        back = self.ask("POST", unescape(form.group(1)), NAVIGATION | FORM, urlencode(fields).encode(), url)
        callback = urlsplit(back.headers["location"])
        landed = self.ask("GET", f"{callback.path}?{callback.query}")
        assert landed.status == 303 and "__Host-anteport" in self.jar, (landed.status, landed.text)


def integer(text):
    return int.from_bytes(base64.urlsafe_b64decode(text + "=="), "big")


class OtherKeys(HTTPSignatureKeyResolver):
    """The keys that the documented code has no use for."""

    def __init__(self, keys):
        self.keys = keys

    def resolve_public_key(self, key_id):
        key = self.keys.get(key_id)
        if key and key["kty"] == "EC":
            return ec.EllipticCurvePublicNumbers(integer(key["x"]), integer(key["y"]), ec.SECP256R1()).public_key()
        if key and key["kty"] == "RSA":
            return rsa.RSAPublicNumbers(integer(key["e"]), integer(key["n"])).public_key()
        return SECRET if key is None else None


def by_library(keys, algorithm, origin, told):
    """The covered headers, by the library alone."""
    request = SimpleNamespace(method=told.method, url=f"{origin}/", target=told.target, headers=told.headers)
    resolver = documented["AsSent"]
    verifier = HTTPMessageVerifier(
        signature_algorithm=algorithm, key_resolver=OtherKeys(keys), component_resolver_class=resolver
    )
    covered = verifier.verify(request, expect_tag="anteport-identity", require_components=documented["COVERED"])[0]
    return {name for name in NAMES if f'"{name}"' in covered.covered_components}


def by_php(host, requests):
    """What the documented PHP says of each."""
    script = code["php"].replace("members.example.org", host) + """
$told = [];
foreach (json_decode(file_get_contents('php://stdin'), true) as $one) {
    $headers = array_change_key_case($one['headers']);
    $told[] = anteport_identity($one['method'], $one['target'], $headers, $one['body'], base64_decode($one['secret']), $one['now']);
}
echo json_encode($told);
"""
    with tempfile.NamedTemporaryFile("w", suffix=".php") as file:
        file.write(script)
        file.flush()
        said = subprocess.run(["php", file.name], input=json.dumps(requests), capture_output=True, text=True, timeout=20)
    assert said.returncode == 0 and not said.stderr, said
    # An empty array of PHP is a list.
    return [told if told is None else dict(told) for told in json.loads(said.stdout)]


def changed(told, **what):
    """The same request, as somebody on the way has changed it."""
    headers = Message()
    for name, value in told.headers.items():
        headers[name] = value
    copy = SimpleNamespace(**{**vars(told), "headers": headers})
    for name, value in what.pop("headers", {}).items():
        name = name.replace("_", "-")
        del headers[name]
        for one in [value] if isinstance(value, str) else value:
            headers[name] = one
    vars(copy).update(what)
    return copy


def tampered(told):
    """Each of what an attacker would like to change."""
    yield changed(told, method="PUT")
    yield changed(told, target="/elsewhere")
    yield changed(told, target=told.target + "&admin=1")
    yield changed(told, target=told.target.split("?")[0])
    yield changed(told, headers={"x-auth-user": "somebody-else"})
    yield changed(told, headers={"x-auth-user": []})
    yield changed(told, headers={"x-auth-email": [told.headers["x-auth-email"], "root@example.org"]})
    yield changed(told, headers={"x-anteport-assertion": "eyJ.eyJ.forged"})
    yield changed(told, headers={"signature": []})
    yield changed(told, headers={"signature-input": []})
    yield changed(told, headers={"signature": "anteport=:AAAA:"})
    text = told.headers["signature-input"]
    yield changed(told, headers={"signature-input": text.replace(' "x-auth-email"', "")})
    yield changed(told, headers={"signature-input": re.sub(r"expires=\d+", "expires=4102444800", text)})
    # Later: nothing is changed but the time, as the request says it.
    old = re.sub(r"=(\d{10})\b", lambda found: f"={int(found.group(1)) - 600}", text)
    yield changed(told, headers={"signature-input": old})


def refused(check, told):
    try:
        check(told)
    except InvalidSignature:
        return
    raise AssertionError(f"believed: {vars(told)} {told.headers.items()}")


def start(processes, *words):
    child = subprocess.Popen([ANTEPORT, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    processes.append(child)
    return child


def until(what):
    for _ in range(400):
        if what():
            return
        time.sleep(0.025)
    raise AssertionError("it does not come up")


def is_ready(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


def main(work, processes):
    portal = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Portal)
    threading.Thread(target=portal.serve_forever, daemon=True).start()
    port, admin = free_ports(2)
    text = CONFIG.format(port=port, admin=admin)
    for algorithm, (host, mode) in HOSTS.items():
        secret = ", secret: { file: secret }" if algorithm == "hmac-sha256" else ""
        text += PORTAL.format(
            host=host, port=port, portal=portal.server_address[1], mode=mode, algorithm=algorithm, secret=secret
        )
    (work / "config.yaml").write_text(text)
    os.umask(0o077)
    (work / "secret").write_text(base64.b64encode(SECRET).decode())
    pem = ""
    for algorithm in ("EdDSA", "ES256", "RS256"):
        file = work / f"{algorithm}.pem"
        subprocess.run([ANTEPORT, "keys", "generate", "--algorithm", algorithm, "--file", file], check=True, capture_output=True)
        pem += file.read_text()
    (work / "keys.pem").write_text(pem)
    emulated = work / "emulated.yaml"
    emulator = start(processes, "emulator", "--config", str(work / "config.yaml"), "--port", "0", "--write", str(emulated))
    for line in emulator.stdout:
        if "Ctrl-C stops it" in line:
            break
    # An emulated configuration has keys of its own; here they are to be those that a portal knows.
    written = emulated.read_text()
    settings = json.loads(written[written.index("{") :])
    settings["signing"] = {"keys": [{"file": "keys.pem"}]}
    for signature in (portal["identity"]["signature"] for portal in settings["portals"]):
        if "secret" in signature:
            signature["secret"] = {"file": "secret"}
    emulated.write_text(json.dumps(settings))
    proxy = start(processes, "run", "--config", str(emulated))
    until(lambda: is_ready(port) or proxy.poll() is not None)
    assert proxy.poll() is None, proxy.stdout.read()

    url = f"http://127.0.0.1:{port}/.auth/jwks.json"
    keys = Keys(url)
    assert len(keys.keys) == 6, keys.keys  # a following one of each

    for algorithm, (host, mode) in HOSTS.items():
        origin = f"http://{host}:{port}"
        documented["ORIGIN"] = origin
        visitor = Visitor(port, host)
        visitor.sign_in("/reports" if mode == "azure_only" else "/.auth/login/corporate?post_login_redirect_uri=/")
        if algorithm == "ed25519":
            check = lambda told: set(who(keys, told.method, told.target, told.headers, told.body))
        elif algorithm == "hmac-sha256":
            check = lambda told: by_library({}, algorithms.HMAC_SHA256, origin, told)
        else:
            kind = algorithms.ECDSA_P256_SHA256 if "ecdsa" in algorithm else algorithms.RSA_V1_5_SHA256
            check = lambda told: by_library(keys.keys, kind, origin, told)

        seen = []
        for method, target, headers, body in [
            ("GET", "/reports/2026?year=2025&q=a%20b", NAVIGATION, None),
            ("GET", "/caf%C3%A9/%2B", NAVIGATION, None),
            ("GET", "/reports?", NAVIGATION, None),
            ("GET", "/reports??id[]=1&of=100%|\"{}\\'", NAVIGATION, None),
            ("DELETE", "/reports/7?x", NAVIGATION, None),
            ("POST", "/pay?to=a", NAVIGATION | FORM, b"amount=1"),
        ]:
            answer = visitor.ask(method, target, headers, body)
            assert answer.status == 200, (algorithm, target, answer.status, answer.text)
            told = Portal.last
            assert told.target == target and check(told) == NAMES, (algorithm, vars(told))
            seen.append(told)
            has_digest = '"content-digest"' in told.headers["signature-input"]
            # In optional no rule refuses anything, so none reads a body.
            assert has_digest == (body is not None and mode != "optional"), (algorithm, told.headers.items())
        good = told
        for one in tampered(good):
            if algorithm == "ed25519" or [name for name, _ in one.headers.items()].count("x-auth-email") < 2:
                refused(check, one)
        if algorithm == "ed25519":
            refused(check, changed(good, body=b"amount=1000"))
            for _ in range(3):
                assert check(changed(good)) == NAMES
            # To another portal, with the host that it was made for.
            documented["ORIGIN"] = f"http://127.0.0.3:{port}"
            refused(check, good)
            documented["ORIGIN"] = origin
            # What is not covered is not taken from the request.
            assert "x-auth-phone" not in who(keys, good.method, good.target, good.headers, good.body)
        if algorithm == "hmac-sha256":
            as_json = lambda told, now=0: {
                "method": told.method,
                "target": told.target,
                # As getallheaders() has them.
                "headers": {name: ", ".join(told.headers.get_all(name)) for name in told.headers.keys()},
                "body": told.body.decode(),
                "secret": base64.b64encode(SECRET).decode(),
                "now": int(time.time()) + now,
            }
            others = [as_json(one) for one in tampered(good)]
            others += [as_json(changed(good, body=b"amount=1000")), as_json(good, 300), as_json(good, -300)]
            others.append({**as_json(good), "secret": base64.b64encode(bytes(32)).decode()})
            for one in by_php(f"{host}:{port}", [as_json(told) for told in seen]):
                assert one and set(one) == NAMES and one["x-auth-email"] == MEMBER, one
            assert all(one is None for one in by_php(f"{host}:{port}", others))
            assert by_php("members.example.org", [as_json(good)]) == [None]
        if mode != "azure_only":
            forged = NAVIGATION | {"x-auth-user": "forged", "signature": "anteport=:AAAA:", "content-digest": "sha-256=:YQ==:"}
            assert Visitor(port, host).ask("GET", "/reports?a", forged).status == 200
            told = Portal.last
            assert check(told) == set(), told.headers.items()
            assert not told.headers.get("x-auth-user") and not told.headers.get("content-digest")
        print(f"{algorithm}: believed as it was sent, and in no other way")


if __name__ == "__main__":
    children = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            main(Path(folder), children)
        finally:
            for child in children:
                child.terminate()
            for child in children:
                child.wait(10)
