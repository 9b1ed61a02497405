"""config.schema.json, as a validator for Python reads it: a schema by the rules of draft-07, which accepts the configurations
that we give away and those of the fixtures that Anteport accepts, and refuses a key that there is not. schema.py BINARY"""

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml
from jsonschema import Draft7Validator

SCHEMA = Path("config.schema.json")


class Core(yaml.SafeLoader):
    """YAML 1.2 as editors read it: `off` is a word, and a date is text."""


Core.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for first, pattern in (("t", "true"), ("f", "false")):
    Core.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(f"^{pattern}$"), [first])


def main():
    printed = subprocess.run([sys.argv[1], "config", "schema"], capture_output=True, text=True, check=True).stdout
    assert printed == SCHEMA.read_text(), f"{SCHEMA} is not what Anteport prints"
    schema = json.loads(printed)
    Draft7Validator.check_schema(schema)
    validator = Draft7Validator(schema)
    accepted = 0
    for path in configurations():
        config = yaml.load(path.read_text(), Core)
        faults = [f"{path}: {fault.json_path}: {fault.message}" for fault in validator.iter_errors(config)]
        assert not faults, "\n".join(faults)
        accepted += 1
        config["portals"][0]["upstrem"] = config["portals"][0].pop("upstream")
        said = [fault.message for fault in validator.iter_errors(config)]
        assert any("'upstrem' was unexpected" in message for message in said), f"{path}: {said}"
    assert accepted > 20, accepted
    print(f"{SCHEMA} accepts {accepted} configurations that Anteport accepts, and none of them misspelled")


def configurations():
    yield Path("config.example.yaml")
    for path in sorted(Path("deploy").rglob("config.yaml")):
        yield path
    for path in sorted(Path("tests/fixtures/config").glob("*.yaml")):
        if "error: " not in path.with_suffix(".expected").read_text():
            yield path


if __name__ == "__main__":
    main()
