"""A container of a manifest, as a process of this machine: its mounts are folders, its user is who the manifest says, and
its ports are free ones. The real program checks its configuration and answers its probes."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path

import facts

# What each Secret holds, by what the kustomizations say how to make it.
SECRETS = {
    "anteport-client": ["client_secret"],
    "anteport-keys": ["session_key", "signing_keys.pem"],
    "anteport-redis": ["ca.crt", "password"],
    "anteport-tls": ["tls.crt", "tls.key"],
}


class Material:
    """Keys, certificates and secrets, made anew, and a Redis that knows them."""

    def __init__(self, binary, folder):
        self.folder = folder
        folder.mkdir()
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        run("openssl", "req", "-x509", *key, "-days", "2", "-subj", "/CN=of these tests", "-keyout", folder / "ca.key",
            "-out", folder / "ca.crt")
        run("openssl", "req", "-x509", *key, "-days", "2", "-subj", "/CN=members.example.org", "-CA", folder / "ca.crt",
            "-CAkey", folder / "ca.key", "-addext", "basicConstraints=critical,CA:FALSE", "-addext",
            "subjectAltName=DNS:members.example.org,IP:127.0.0.1", "-keyout", folder / "tls.key", "-out", folder / "tls.crt")
        run(binary, "keys", "generate", "--file", folder / "signing_keys.pem")
        for name, text in {
            "client_secret": "wJa8Q~" + "x" * 34,
            "session_key": run("openssl", "rand", "-base64", "32"),
            "password": "of-redis",
            "azure-identity-token": "header.payload.signature",
        }.items():
            (folder / name).write_text(text)

    def redis(self):
        """With the user that docs/sessions.md has, over TLS alone. Its process and its port."""
        port = free_port()
        user = next(line for line in Path("docs/sessions.md").read_text().splitlines() if line.startswith("ACL SETUSER "))
        user = user.removeprefix("ACL SETUSER ").replace(">PASSWORD", ">of-redis")
        written = self.folder / "redis.conf"
        written.write_text(f"bind 127.0.0.1\nport 0\ntls-port {port}\ntls-cert-file {self.folder}/tls.crt\n"
                           f"tls-key-file {self.folder}/tls.key\ntls-ca-cert-file {self.folder}/ca.crt\n"
                           f"tls-auth-clients no\nsave \"\"\nappendonly no\ndir {self.folder}\n"
                           f"user default off\nuser {user}\n")
        with open(self.folder / "redis.log", "w") as log:
            process = subprocess.Popen(["redis-server", written], stdout=log, stderr=log)
        return process, port


class Container:
    """Anteport's, of one set of manifests."""

    def __init__(self, documents, binary, material, folder):
        self.binary = binary
        spec, _ = facts.pod(documents)
        self.container, _ = facts.containers(spec)
        maps = {document["metadata"]["name"]: document["data"] for document in facts.of_kind(documents, "ConfigMap")}
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        self.folder = folder
        self.text = None
        for mount in self.container["volumeMounts"]:
            here = folder / mount["mountPath"].lstrip("/")
            here.mkdir(parents=True)
            volume = volumes[mount["name"]]
            if "configMap" in volume:
                for name, text in maps[volume["configMap"]["name"]].items():
                    (here / name).write_text(text)
                continue
            if "secret" in volume:
                names = SECRETS[volume["secret"]["secretName"]]
            else:
                names = [source["serviceAccountToken"]["path"] for source in volume["projected"]["sources"]]
            for name in names:
                shutil.copy(material.folder / name, here / name)
                if os.geteuid() == 0:
                    os.chown(here / name, 0, 65532)
                os.chmod(here / name, 0o440)
        self.file = folder / "etc/anteport/config.yaml"
        # Every path that it names is then below a mount, or is not there.
        self.text = re.sub(r"(?<![\w.:/-])/(run|var|etc)/", rf"{folder}/\1/", self.file.read_text())
        self.file.write_text(self.text)
        self.environment = {"PATH": os.environ["PATH"]}
        self.environment |= {variable["name"]: variable["value"] for variable in self.container.get("env", [])}
        # As the container's user, if this is somebody who can become one.
        self.as_user = {"user": 65532, "group": 65532, "extra_groups": []} if os.geteuid() == 0 else {}

    def check(self):
        """`anteport check` accepts it, and it listens where the manifest says."""
        done = subprocess.run([self.binary, "check", "--config", self.file], env=self.environment, capture_output=True,
                              text=True, **self.as_user)
        assert done.returncode == 0, f"anteport check: {done.stderr}"
        ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        # What the manifests mean to do, and say why.
        meant = ["the group of .* can read", "copied cookie of somebody who signed out"] + ["from other machines"] * ("admin" in ports)
        unexpected = [line for line in done.stderr.splitlines() if not re.search("|".join(meant), line)]
        assert not unexpected, f"anteport check warns: {unexpected}"
        listen = re.search(r"^listen +0\.0\.0\.0:(\d+) with TLS$", done.stdout, re.M)
        admin = re.search(r"^admin +(\S+):(\d+)$", done.stdout, re.M)
        assert listen and int(listen[1]) == ports["https"], f"it does not listen at {ports['https']}: {done.stdout}"
        assert admin[1] == ("0.0.0.0" if "admin" in ports else "127.0.0.1"), done.stdout
        assert int(admin[2]) == ports.get("admin", int(admin[2]))
        self.admin_port = int(admin[2])

    def probe(self, metrics, redis=None):
        """It answers its probes, with metrics at the paths `metrics`, and visitors at its port."""
        text = re.sub(r"0\.0\.0\.0:\d+", "127.0.0.1:0", self.text)
        text = re.sub(r"\$\{ANTEPORT_ADMIN:-[^}]*\}", "127.0.0.1:0", text)
        if redis:
            text = text.replace("redis:6379", f"127.0.0.1:{redis}")
        assert "0.0.0.0" not in text and f":{self.admin_port}" not in text
        self.file.write_text(text)
        log = self.folder / "log"
        with open(log, "w") as errors:
            process = subprocess.Popen([self.binary, "run", "--config", self.file], env=self.environment, stderr=errors,
                                       **self.as_user)
        try:
            ready = wait(lambda: event(log, "ready") or ended(process, log), log)
            visitors, admin = (int(ready[name].rpartition(":")[2]) for name in ("address", "admin"))
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                command = self.container[probe]["exec"]["command"]
                assert command[0] == "/usr/local/bin/anteport", "the image has nothing else to ask with"
                url = command[-1]
                assert f"127.0.0.1:{self.admin_port}/" in url, f"{url} is not the admin listener's"
                asked = [self.binary, *command[1:-1], url.replace(f":{self.admin_port}/", f":{admin}/")]
                wait(lambda asked=asked: subprocess.run(asked, capture_output=True, **self.as_user).returncode == 0, log)
                wrong = [*asked[:-1], asked[-1] + "-not"]
                assert subprocess.run(wrong, capture_output=True).returncode == 1, f"{wrong} is answered, too"
            for path in metrics:
                with urllib.request.urlopen(f"http://127.0.0.1:{admin}{path}", timeout=5) as answer:
                    assert b"anteport_" in answer.read(), f"there are no metrics at {path}"
            assert visit(visitors).startswith(b"HTTP/1.1 "), "visitors get no answer"
        finally:
            process.terminate()
            code = process.wait(timeout=30)
        assert code == 0, f"it ended with {code}: {log.read_text()}"


def visit(port):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname="members.example.org") as stream:
            stream.sendall(b"GET /.auth/me HTTP/1.1\r\nHost: members.example.org\r\nConnection: close\r\n\r\n")
            return stream.recv(4096)


def event(log, message):
    for line in log.read_text().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        fields = entry.get("fields", entry)
        if message in (fields.get("message"), entry.get("message"), entry.get("body")):
            return entry | fields | entry.get("attributes", {})
    return None


def ended(process, log):
    assert process.poll() is None, f"it ended: {log.read_text()}"


def wait(what, log, seconds=30):
    end = time.monotonic() + seconds
    while not (got := what()):
        assert time.monotonic() < end, f"nothing after {seconds} s: {log.read_text()}"
        time.sleep(0.05)
    return got


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout
