"""What has to be true of a whole set of manifests, beyond each being one that Kubernetes takes: that parts which name each
other are there, and that nobody reaches what they should not. Each function raises with a sentence."""

import ipaddress

MICROSOFT = "20.190.128.1"
METADATA = "169.254.169.254"


def of_kind(documents, *kinds):
    return [document for document in documents if document["kind"] in kinds]


def one(documents, kind):
    found = of_kind(documents, kind)
    assert len(found) == 1, f"one {kind}, not {len(found)}"
    return found[0]


def pod(documents):
    """The pod of the one Deployment, with its labels."""
    template = one(documents, "Deployment")["spec"]["template"]
    return template["spec"], template["metadata"]["labels"]


def containers(spec):
    """All of them: Anteport, and the others."""
    everyone = spec.get("initContainers", []) + spec["containers"]
    anteport = [container for container in everyone if container["name"] == "anteport"]
    assert len(anteport) == 1, "one container is Anteport"
    return anteport[0], [container for container in everyone if container["name"] != "anteport"]


def selects(selector, labels):
    wanted = selector.get("matchLabels", selector) or {}
    return all(labels.get(name) == value for name, value in wanted.items())


def check(documents, config, version):
    """All of them. `config` is the configuration in the ConfigMap, as values."""
    spec, labels = pod(documents)
    anteport, others = containers(spec)
    is_sidecar = anteport in spec.get("initContainers", [])
    hardened(anteport, spec)
    tokens(documents, spec, anteport, others)
    volumes(documents, spec, anteport, others)
    stopping(spec, anteport, others, is_sidecar)
    if is_sidecar:
        only_way_in(others, config)
    replicas(documents, config)
    services(documents, anteport, labels)
    budget(documents, labels)
    policies(documents, anteport, labels, config, is_sidecar)
    monitors(documents, anteport, labels)
    assert anteport["image"].endswith(f":{version}"), f"{anteport['image']} is not version {version}"


def hardened(anteport, spec):
    context = anteport["securityContext"]
    assert context["readOnlyRootFilesystem"] is True, "the root file system can be written to"
    assert context["runAsUser"] == context["runAsGroup"] == 65532 == spec["securityContext"]["fsGroup"]
    for container in spec.get("initContainers", []) + spec["containers"]:
        resources = container["resources"]
        assert {"cpu", "memory"} <= set(resources["requests"]), f"{container['name']} asks for no resources"
        assert "memory" in resources["limits"], f"{container['name']} has no limit of memory"
    assert anteport["args"] == ["run", "--config", "/etc/anteport/config.yaml"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert probe in anteport, f"there is no {probe}"
    spread = spec["topologySpreadConstraints"]
    assert any(rule["topologyKey"] == "kubernetes.io/hostname" for rule in spread), "all may be on one node"


def tokens(documents, spec, anteport, others):
    """No token of the API server's; one for Microsoft where that is wanted, and in Anteport's container alone."""
    assert spec["automountServiceAccountToken"] is False, "the pod has a token of the API server's"
    for account in of_kind(documents, "ServiceAccount"):
        assert account["metadata"]["name"] == spec["serviceAccountName"]
        assert account["automountServiceAccountToken"] is False
    for volume in spec["volumes"]:
        for source in volume.get("projected", {}).get("sources", []):
            if "serviceAccountToken" in source:
                assert source["serviceAccountToken"]["audience"] == "api://AzureADTokenExchange"
                mounted = [other["name"] for other in others for mount in other.get("volumeMounts", [])
                           if mount["name"] == volume["name"]]
                assert not mounted, f"{mounted} sees the token for Microsoft"


def volumes(documents, spec, anteport, others):
    there = {volume["name"]: volume for volume in spec["volumes"]}
    mounted = {mount["name"] for container in [anteport, *others] for mount in container.get("volumeMounts", [])}
    assert mounted == set(there), f"mounted {sorted(mounted)}, there {sorted(there)}"
    for mount in anteport["volumeMounts"]:
        assert mount["readOnly"] is True, f"{mount['name']} can be written to"
    for other in others:
        for mount in other.get("volumeMounts", []):
            assert "secret" not in there[mount["name"]], f"{other['name']} sees the secret {mount['name']}"
    maps = {document["metadata"]["name"] for document in of_kind(documents, "ConfigMap")}
    for volume in spec["volumes"]:
        if "configMap" in volume:
            assert volume["configMap"]["name"] in maps, f"there is no ConfigMap {volume['configMap']['name']}"
        if "secret" in volume:
            assert volume["secret"]["defaultMode"] == 0o440, "a secret that everybody in the container can read"


def stopping(spec, anteport, others, is_sidecar):
    """Whoever hears the end first waits until load balancers have heard, too; and there is time for all of it."""
    first = others if is_sidecar else [anteport]
    for container in first:
        pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pause >= 5, f"{container['name']} ends while requests still come"
        # What is under way has ten seconds, and the portal needs some of its own.
        need = pause + 10 + (20 if is_sidecar else 0)
        assert spec["terminationGracePeriodSeconds"] >= need, f"an end takes {need} s"


def only_way_in(others, config):
    """In the sidecar's pod the portal is on loopback, and nothing asks it from outside."""
    for portal in config["portals"]:
        assert portal["upstream"]["url"].startswith("http://127.0.0.1:"), "the portal is not on loopback"
    for container in others:
        assert "ports" not in container, f"{container['name']} can be reached from outside"
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert set(container.get(probe, {})) & {"httpGet", "tcpSocket", "grpc"} == set(), f"{probe} from outside"


def replicas(documents, config):
    deployment = one(documents, "Deployment")
    store = config.get("sessions", {}).get("store", "memory")
    scalers = of_kind(documents, "HorizontalPodAutoscaler")
    for scaler in scalers:
        assert store != "memory", "autoscaling, and sessions in memory"
        assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
        assert "replicas" not in deployment["spec"], "two who say how many there are"
        assert [metric["resource"]["name"] for metric in scaler["spec"]["metrics"]] == ["cpu"]
    several = bool(scalers) or deployment["spec"]["replicas"] > 1
    if several:
        assert store != "memory", "several replicas, and sessions in memory"
        assert config["sessions"]["keys"], "several replicas, and no keys that they share"
        assert config["signing"]["keys"], "several replicas that sign by keys of their own"
    strategy = deployment["spec"]["strategy"]["type"]
    assert strategy == ("Recreate" if store == "memory" else "RollingUpdate"), f"{strategy} with {store}"


def services(documents, anteport, labels):
    public = [service for service in of_kind(documents, "Service") if service["spec"].get("clusterIP") != "None"]
    assert len(public) == 1, "visitors come in by one Service"
    names = {port["name"] for port in anteport["ports"]}
    for service in of_kind(documents, "Service"):
        assert selects(service["spec"]["selector"], labels), f"{service['metadata']['name']} leads nowhere"
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in names, f"no container has a port {port['targetPort']}"
    assert [port["targetPort"] for port in public[0]["spec"]["ports"]] == ["https"], "the admin port is public"
    if public[0]["spec"]["type"] != "ClusterIP":
        assert public[0]["spec"]["externalTrafficPolicy"] == "Local", "visitors' addresses are lost"


def budget(documents, labels):
    for budget in of_kind(documents, "PodDisruptionBudget"):
        assert selects(budget["spec"]["selector"], labels)
        assert budget["spec"]["maxUnavailable"] >= 1 and "minAvailable" not in budget["spec"], "a drain may hang"


def policies(documents, anteport, labels, config, is_sidecar):
    """Visitors reach one port; the admin port is on loopback, or for somebody who is named."""
    about = [policy["spec"] for policy in of_kind(documents, "NetworkPolicy")
             if selects(policy["spec"]["podSelector"], labels)]
    assert any("Ingress" in policy["policyTypes"] for policy in about), "everybody reaches every port"
    public = next(port["containerPort"] for port in anteport["ports"] if port["name"] == "https")
    admin = next((port["containerPort"] for port in anteport["ports"] if port["name"] == "admin"), None)
    opened = any(variable["name"] == "ANTEPORT_ADMIN" for variable in anteport.get("env", []))
    assert opened == (admin is not None), "the admin port is open and not named, or the other way round"
    for policy in about:
        for rule in policy.get("ingress", []):
            for port in rule["ports"]:
                assert port["port"] in (public, admin), f"port {port['port']} is open"
                if port["port"] == admin:
                    named = [by for by in rule["from"] if by.get("podSelector") or by.get("namespaceSelector")]
                    assert rule["from"] and named == rule["from"], "everybody reaches the admin port"
    out = [rule for policy in about for rule in policy.get("egress", [])]
    limited = any("Egress" in policy["policyTypes"] for policy in about)
    assert limited == (not is_sidecar), "in a sidecar's pod it would be the portal's; elsewhere it is Anteport's"
    if not limited:
        return
    wanted = [443, 53] + [int(portal["upstream"]["url"].rpartition(":")[2]) for portal in config["portals"]]
    wanted += [int(server.rpartition(":")[2]) for server in config["sessions"].get("redis", {}).get("servers", [])]
    for port in wanted:
        assert any(allowed["port"] == port for rule in out for allowed in rule["ports"]), f"port {port} is shut"
    assert all(rule.get("to") for rule in out), "everything can be asked"
    assert reaches(out, MICROSOFT) and not reaches(out, METADATA), "Microsoft, and no metadata service"
    assert not reaches(out, "10.0.0.1"), "the whole network of the cluster can be asked"


def reaches(rules, address):
    address = ipaddress.ip_address(address)
    blocks = [to["ipBlock"] for rule in rules for to in rule["to"] if "ipBlock" in to]
    return any(address in ipaddress.ip_network(block["cidr"])
               and not any(address in ipaddress.ip_network(out) for out in block.get("except", []))
               for block in blocks)


def monitors(documents, anteport, labels):
    for monitor in of_kind(documents, "PodMonitor"):
        assert selects(monitor["spec"]["selector"], labels), "the PodMonitor finds no pods"
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            assert endpoint["port"] in {port["name"] for port in anteport["ports"]}
    for monitor in of_kind(documents, "ServiceMonitor"):
        found = [service for service in of_kind(documents, "Service")
                 if selects(monitor["spec"]["selector"], service["metadata"]["labels"])]
        assert len(found) == 1, "the ServiceMonitor finds one Service"
        for endpoint in monitor["spec"]["endpoints"]:
            assert endpoint["port"] in {port["name"] for port in found[0]["spec"]["ports"]}
