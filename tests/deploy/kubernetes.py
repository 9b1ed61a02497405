"""Every manifest that deploy/kubernetes and deploy/helm can make: rendered by kubectl and Helm, validated by the schemas of
the oldest Kubernetes that is promised and of a new one, by its own types and Pod Security, by `facts`, and by Anteport
itself. Then that each of these judges refuses something, and that the chart refuses what would be an open door."""

import itertools
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

import facts
import pods

OVERLAYS = ["sidecar", "standalone", "redis", "workload-identity"]
COMPONENTS = ["monitoring", "autoscaling"]
VERSIONS = ["1.30", "1.37"]
CHART = "deploy/helm/anteport"
# What to choose besides, and for which of the examples.
CHOICES = {
    "": OVERLAYS,
    "service.type=ClusterIP,networkPolicy.from[0].podSelector.matchLabels.app=ingress": OVERLAYS,
    "monitoring.enabled=true,monitoring.kind=ServiceMonitor,podDisruptionBudget.enabled=false": OVERLAYS,
    "monitoring.enabled=true,monitoring.kind=PodMonitor,serviceAccount.name=portal": OVERLAYS,
    "autoscaling.enabled=true,priorityClassName=high,env[0].name=RUST_BACKTRACE,env[0].value=full": ["standalone", "redis"],
    "podLabels.team=members,podAnnotations.note=x,nodeSelector.disk=ssd,tolerations[0].operator=Exists": OVERLAYS,
}
# What the chart has to refuse: the example, what is set, and a word of why.
REFUSED = [
    ("sidecar", "replicas=2", "sessions are in memory"),
    ("sidecar", "autoscaling.enabled=true", "sessions are in memory"),
    ("sidecar", "portal.container.ports[0].containerPort=3000", "maxItems"),
    ("sidecar", "portal.container.name=anteport", "portal/container/name"),
    ("sidecar", "portal.container=null", "portal"),
    ("sidecar", "config=", "config is empty"),
    ("sidecar", "config=a: [", "config is not YAML"),
    ("sidecar", "config=listen: {address: '0.0.0.0:8443'}\nadmin: {address: '0.0.0.0:9090'}", "admin.address"),
    ("sidecar", "config=listen: {address: '127.0.0.1:8443'}", "listen.address"),
    ("standalone", "monitoring.enabled=true,networkPolicy.enabled=false", "takes networkPolicy"),
    ("standalone", "monitoring.enabled=true,monitoring.from=null", "monitoring"),
    ("standalone", "replica=3", "replica"),
    ("standalone", "pattern=ambient", "pattern"),
    ("standalone", "image.digest=latest", "digest"),
]


class Judges:
    """Programs that nobody here wrote."""

    def __init__(self, programs, python):
        self.programs, self.python = programs, python

    def kustomize(self, folder):
        return output(self.programs / "kubectl", "kustomize", folder)

    def helm(self, example, choices, *more):
        sets = ["--set", choices] if choices else []
        return output(self.programs / "helm", "template", "members", CHART, "--namespace", "members", *example_of(example),
                      *sets, *more)

    def lint(self, example):
        return output(self.programs / "helm", "lint", "--strict", CHART, *example_of(example))

    def judge(self, text):
        return output(self.programs / "judge", given=text)

    def validate(self, text, folder):
        """By the schemas; what is not of Kubernetes has none, and `judge` knows its types."""
        own = [document for document in yaml.safe_load_all(text) if "monitoring.coreos.com" not in document["apiVersion"]]
        written = folder / "validate.yaml"
        written.write_text(yaml.safe_dump_all(own))
        for version in VERSIONS:
            said = output(self.python.parent / "kubernetes-validate", "--strict", "-k", version, written)
            assert said.count(" passed for resource ") == len(own), said


def main():
    judges = Judges(Path(sys.argv[1]), Path(sys.executable))
    version = re.search(r'^version = "(.*)"$', Path("Cargo.toml").read_text(), re.M)[1]
    chart = yaml.safe_load(Path(CHART, "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == version, "the chart has another version than the program"
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        folder.chmod(0o755)
        # Where every user can run it.
        binary = Path(shutil.copy(sys.argv[2], folder / "anteport"))
        material = pods.Material(binary, folder / "material")
        redis, port = material.redis()
        try:
            everything(judges, folder, version, binary, material, port)
        finally:
            redis.terminate()
            redis.wait()
        every_judge_refuses(judges, folder)
        every_fact_counts(judges, folder, version)
    for example in OVERLAYS:
        judges.lint(example)
    for example, choices, why in REFUSED:
        said = refusal(lambda example=example, choices=choices: judges.helm(example, "", how(choices), choices), choices)
        assert why in said, f"{choices!r} is refused, but not because of {why!r}: {said}"
    print(f"{len(REFUSED)} settings of the chart are refused")


def everything(judges, folder, version, binary, material, redis):
    rendered = list(kustomized(judges, folder)) + list(charted(judges))
    started = set()
    for number, (name, text) in enumerate(rendered):
        try:
            judges.validate(text, folder)
            judges.judge(text)
            documents = list(yaml.safe_load_all(text))
            config = yaml.safe_load(facts.one(documents, "ConfigMap")["data"]["config.yaml"])
            facts.check(documents, config, version)
            container = pods.Container(documents, binary, material, folder / f"pod-{number}")
            container.check()
            # As the manifests are alike in this, once each is enough.
            kind = (name.split()[0], yaml.safe_dump(container.container), yaml.safe_dump(config))
            if kind not in started:
                started.add(kind)
                store = config.get("sessions", {}).get("store")
                container.probe(paths_of_metrics(documents), redis if store == "redis" else None)
        except AssertionError as error:
            raise SystemExit(f"{name}: {error}") from error
    print(f"{len(rendered)} sets of manifests are valid, and Anteport runs in {len(started)} kinds of containers")


def kustomized(judges, folder):
    """Every overlay, with every set of components that it can have."""
    copy = folder / "kubernetes"
    shutil.copytree("deploy/kubernetes", copy)
    for overlay in OVERLAYS:
        yield f"kustomize {overlay}", judges.kustomize(copy / "overlays" / overlay)
        for count in range(1, len(COMPONENTS) + 1):
            for components in itertools.combinations(COMPONENTS, count):
                config = yaml.safe_load((copy / "overlays" / overlay / "config.yaml").read_text())
                if "autoscaling" in components and config["sessions"]["store"] == "memory":
                    continue
                built = folder / "kubernetes" / f"{overlay}-{'-'.join(components)}"
                built.mkdir()
                (built / "kustomization.yaml").write_text(yaml.safe_dump({
                    "apiVersion": "kustomize.config.k8s.io/v1beta1",
                    "kind": "Kustomization",
                    "resources": [f"../overlays/{overlay}"],
                    "components": [f"../components/{component}" for component in components],
                }))
                text = judges.kustomize(built)
                kinds = {document["kind"] for document in yaml.safe_load_all(text)}
                assert ("PodMonitor" in kinds) == ("monitoring" in components)
                assert ("HorizontalPodAutoscaler" in kinds) == ("autoscaling" in components)
                yield f"kustomize {built.name}", text
    folders = {path.parent.name for path in Path("deploy/kubernetes").glob("*/*/kustomization.yaml")}
    assert folders == {*OVERLAYS, *COMPONENTS}, f"not all of {sorted(folders)} are tried"


def charted(judges):
    for choices, examples in CHOICES.items():
        for example in examples:
            yield f"helm {example} {choices}".strip(), judges.helm(example, choices)


def example_of(name):
    return ["--values", f"{CHART}/ci/{name}-values.yaml", "--set-file", f"config=deploy/kubernetes/overlays/{name}/config.yaml"]


def how(choices):
    """A configuration is one text, commas and all."""
    return "--set-literal" if choices.startswith("config=") else "--set"


def paths_of_metrics(documents):
    return [endpoint["path"] for monitor in facts.of_kind(documents, "PodMonitor", "ServiceMonitor")
            for endpoint in monitor["spec"].get("podMetricsEndpoints", []) + monitor["spec"].get("endpoints", [])]


def every_judge_refuses(judges, folder):
    """Else what they pass would mean nothing."""
    text = judges.kustomize("deploy/kubernetes/overlays/standalone")
    for judged, old, new in [
        (judges.judge, "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"),
        (judges.judge, "runAsNonRoot: true", "runAsNonRoot: false"),
        (judges.judge, "terminationGracePeriodSeconds:", "terminationGraceSeconds:"),
        (lambda text: judges.validate(text, folder), "maxUnavailable:", "maxUnavailables:"),
        (lambda text: judges.validate(text, folder), "containerPort: 8443", "containerPort: all"),
    ]:
        assert old in text
        refusal(lambda: judged(text.replace(old, new)), new)
    monitor = Path("deploy/kubernetes/components/monitoring/podmonitor.yaml").read_text()
    judges.judge(monitor)
    assert "portt" in refusal(lambda: judges.judge(monitor.replace("port:", "portt:")), "portt")


def every_fact_counts(judges, folder, version):
    """Each of these would be a hole or an outage, and Kubernetes takes them all."""
    opened = folder / "kubernetes" / "sidecar-monitoring"
    for rendered, wrong in [
        (judges.kustomize("deploy/kubernetes/overlays/sidecar"), [
            lambda pod, all: pod["containers"][0].update(ports=[{"containerPort": 3000}]),
            lambda pod, all: pod["containers"][0].update(readinessProbe={"httpGet": {"port": 3000}}),
            lambda pod, all: pod["containers"][0].update(volumeMounts=[{"name": "client", "mountPath": "/client"}]),
            lambda pod, all: pod["containers"][0].pop("lifecycle"),
            lambda pod, all: pod["initContainers"][0]["securityContext"].pop("readOnlyRootFilesystem"),
            lambda pod, all: pod["initContainers"][0].update(env=[{"name": "ANTEPORT_ADMIN", "value": "0.0.0.0:9090"}]),
            lambda pod, all: pod.update(automountServiceAccountToken=True),
            lambda pod, all: pod.update(terminationGracePeriodSeconds=30),
            lambda pod, all: facts.one(all, "Deployment")["spec"].update(replicas=2),
            lambda pod, all: facts.one(all, "Service")["spec"]["selector"].update(gate="other"),
            lambda pod, all: facts.one(all, "PodDisruptionBudget")["spec"].update(minAvailable=1),
            lambda pod, all: all.remove(facts.one(all, "NetworkPolicy")),
        ]),
        (judges.kustomize(opened), [
            lambda pod, all: [rule.pop("from", 0) and rule.update({"from": []}) for policy in all
                              if policy["kind"] == "NetworkPolicy" for rule in policy["spec"]["ingress"]],
            lambda pod, all: facts.one(all, "Service")["spec"]["ports"].append({"port": 9090, "targetPort": "admin"}),
        ]),
    ]:
        for number, change in enumerate(wrong):
            documents = list(yaml.safe_load_all(rendered))
            config = yaml.safe_load(facts.one(documents, "ConfigMap")["data"]["config.yaml"])
            change(facts.pod(documents)[0], documents)
            try:
                facts.check(documents, config, version)
            except (AssertionError, KeyError):
                continue
            raise AssertionError(f"mistake {number} in a manifest is not noticed")


def refusal(what, name):
    try:
        what()
    except AssertionError as error:
        return str(error)
    raise AssertionError(f"{name!r} was not refused")


def output(*command, given=None):
    done = subprocess.run([str(word) for word in command], input=given, capture_output=True, text=True)
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


if __name__ == "__main__":
    main()
