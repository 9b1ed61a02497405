"""deploy/compose, read by the library that Docker Compose reads it with, and its configuration by Anteport itself."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

import pods

FILE = Path("deploy/compose/compose.yaml")


def main():
    programs, binary = Path(sys.argv[1]), sys.argv[2]
    project = load(programs, FILE)
    anteport, portal = project["services"]["anteport"], project["services"]["portal"]
    version = re.search(r'^version = "(.*)"$', Path("Cargo.toml").read_text(), re.M)[1]
    assert anteport["image"] == f"anteport:{version}", f"{anteport['image']} is not version {version}"
    # Nobody but Anteport gets at the portal.
    assert not portal.get("ports") and list(portal["networks"]) == ["portal"]
    assert project["networks"]["portal"]["internal"] is True
    assert anteport["read_only"] is True and anteport["cap_drop"] == ["ALL"] and anteport["user"] == "65532:65532"
    assert "no-new-privileges:true" in anteport["security_opt"] and not anteport.get("cap_add")
    assert [port["target"] for port in anteport["ports"]] == [8443], "the admin port is public, or the other one is not"
    with tempfile.TemporaryDirectory() as folder:
        check(anteport, project, binary, Path(folder))
        wrong = Path(folder, "compose.yaml")
        wrong.write_text(FILE.read_text().replace("read_only:", "readonly:"))
        try:
            load(programs, wrong)
        except AssertionError as error:
            assert "readonly" in str(error), error
        else:
            raise AssertionError("the judge takes a key that does not exist")
    print("compose.yaml is valid, and Anteport accepts its configuration")


def load(programs, file):
    done = subprocess.run([programs / "compose", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(anteport, project, binary, folder):
    """By `anteport check`, with exactly the secrets that the file gives to the container, where it puts them."""
    material = pods.Material(binary, folder / "material")
    secrets = folder / "run/secrets"
    secrets.mkdir(parents=True)
    for secret in anteport["secrets"]:
        name = Path(project["secrets"][secret["source"]]["file"]).name
        shutil.copy(material.folder / name, secrets / secret["source"])
        (secrets / secret["source"]).chmod(0o440)
    mounts = {volume["target"]: volume for volume in anteport["volumes"]}
    source = mounts["/etc/anteport/config.yaml"]
    assert source["read_only"] is True
    text = Path(source["source"]).read_text()
    (folder / "config.yaml").write_text(text.replace(" /run/secrets/", f" {folder}/run/secrets/"))
    done = subprocess.run([binary, "check", "--config", folder / "config.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "listen  0.0.0.0:8443 with TLS" in done.stdout and "admin   127.0.0.1:9090" in done.stdout, done.stdout
    unexpected = [line for line in done.stderr.splitlines() if not re.search("the group of .* can read", line)]
    assert not unexpected, unexpected
    services = project["services"]
    for portal in yaml.safe_load(text)["portals"]:
        host = re.fullmatch(r"http://([^:]+):\d+", portal["upstream"]["url"])[1]
        assert host in services, f"no service is called {host}"


if __name__ == "__main__":
    main()
