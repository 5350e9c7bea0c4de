"""The manifests fit Kubernetes, each other, and the program that they start."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from reelmill_server.engine import FAST_QUEUE, encode_queue
from reelmill_server.settings import Settings, command_line
from reelmill_server.settings.fields import split_address
from reelmill_server.settings.group import ROLES
from reelmill_server.settings.reference import SETTINGS, settings_of
from reelmill_server.telemetry.metrics import Metrics
from tests.k8s import schemas
from tests.k8s.manifests import FOLDER, IMAGE, OVERLAYS, REPOSITORY, Manifest, Workload, find, render, render_of, workloads

# Every component at least once, and every pool with its scaling.
EVERYTHING = "tests/everything"
SECRETS: Mapping[str, Mapping[str, str]] = {
    "reelmill-database": {"url": "postgresql+psycopg://user:password@db/reelmill"},
    "reelmill-temporal": {"api-key": "key"},
    "reelmill-callers": {"admin-token": "a token of an administrator"},
}
USER = 10001
MARGIN_SECONDS = 10


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, ...]:
    """All pools, with all components."""
    pools = ("software", "nvidia", "intel")
    scaling = (*pools, "temporal-cloud")
    names = ("monitoring", "tls", "temporal-cloud", "gvisor", "user-namespaces", "scale-in", "tracing")
    return render_of(
        tmp_path_factory.mktemp("everything"),
        namespace="reelmill",
        resources=["base", *(f"pools/{pool}" for pool in pools)],
        components=[f"components/{name}" for name in (*names, *(f"keda/{name}" for name in scaling))],
    )


@pytest.fixture(params=[*OVERLAYS, EVERYTHING])
def manifests(request: pytest.FixtureRequest, everything: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
    """What one overlay makes."""
    return everything if request.param == EVERYTHING else render(request.param)


def _settings(workload: Workload, monkeypatch: pytest.MonkeyPatch, more: Mapping[str, str] | None = None) -> Settings:
    """What the program makes of a workload's environment and arguments, and of variables beside them."""
    for setting in SETTINGS.values():
        monkeypatch.delenv(setting.variable, raising=False)
    for name, value in (workload.environment(SECRETS) | dict(more or {})).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(command_line, "_pem_problem", lambda path: "")  # the files are in the pod
    return command_line.parse_command_line(workload.container["args"]).settings


@pytest.mark.sample(every=7)
def test_kubernetes_accepts_them(manifests: tuple[Manifest, ...]) -> None:
    """By the schemas of two versions, and those of KEDA and of Prometheus' operator; names are used once."""
    for manifest in manifests:
        for version in schemas.VERSIONS:
            schemas.check(manifest, version)
    names = [(result["kind"], result["metadata"]["name"]) for result in manifests]
    assert len(names) == len(set(names))
    namespaces = {result["metadata"].get("namespace") for result in manifests if result["kind"] != "Namespace"}
    assert namespaces == {result["metadata"]["name"] for result in find(manifests, "Namespace")}


@pytest.mark.sample(every=3)
def test_callers_are_asked_who_they_are_or_kept_out(manifests: tuple[Manifest, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that asks nobody has a policy that lets pods of its own namespace in only."""
    served = [_settings(workload, monkeypatch) for workload in workloads(manifests) if workload.role in ("api", "serve")]
    assert served
    for settings in served:
        assert bool(settings.authentication) != settings.insecure
        if settings.insecure:
            (policy,) = (result["spec"] for result in find(manifests, "NetworkPolicy"))
            assert policy == {
                "podSelector": {},
                "policyTypes": ["Ingress"],
                "ingress": [{"from": [{"podSelector": {}}]}],
            }
        else:
            assert settings.admin_token.get_secret_value()


MISTAKES: list[Manifest] = [
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "dota": {}},
    {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "pool"},
        "spec": {"scaleTargetRef": {"name": "pool"}, "triggers": [], "minReplicas": 1},
    },
    {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": "pods"},
        "spec": {"selector": {}, "podMetricsEndpoints": [{"port": 9090}]},
    },
    {"apiVersion": "keda.sh/v1", "kind": "TriggerAuthentication", "metadata": {"name": "key"}, "spec": {}},
]


@pytest.mark.parametrize("manifest", MISTAKES, ids=lambda manifest: manifest["kind"])
@pytest.mark.parametrize("version", schemas.VERSIONS)
def test_the_checks_of_schemas_find_mistakes(manifest: Manifest, version: str) -> None:
    """Fields that are not known, of another type, or of another version do not pass."""
    with pytest.raises(jsonschema.ValidationError):
        schemas.check(manifest, version)


@pytest.mark.sample(every=2)
def test_settings_exist_and_are_understood(manifests: tuple[Manifest, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variable of ours is a setting that the program takes; what a workload sets for itself, its role uses."""
    known = {setting.variable for setting in SETTINGS.values()}
    for workload in workloads(manifests):
        names = {name for name in workload.environment(SECRETS) if name.startswith("REELMILL_")}
        assert names <= known
        assert workload.role in ROLES
        own = {variable["name"] for variable in workload.container.get("env", [])} & known
        assert own <= {setting.variable for setting in settings_of(workload.role)}
        _settings(workload, monkeypatch)


def test_roles_start_beside_what_others_are_given(manifests: tuple[Manifest, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a site puts a variable of one role into what all of them read: its secrets, or its settings."""
    everybody: dict[str, str] = {}
    for workload in workloads(manifests):
        everybody |= workload.environment(SECRETS)
    for workload in {workload.role: workload for workload in workloads(manifests)}.values():
        alone = _settings(workload, monkeypatch)
        for name in everybody.keys() - workload.environment(SECRETS).keys():
            settings = _settings(workload, monkeypatch, {name: everybody[name]})
            assert settings.data_dir == alone.data_dir
            assert settings.sandbox == alone.sandbox or name == "REELMILL_SANDBOX"


def test_probes_and_ports_are_those_that_are_served(manifests: tuple[Manifest, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """gRPC where gRPC is, HTTP where pages are that exist, on all addresses of the pod."""
    for workload in workloads(manifests):
        if workload.role == "migrate":
            continue
        settings = _settings(workload, monkeypatch)
        (grpc_host, grpc_port), (http_host, http_port) = split_address(settings.listen), split_address(settings.http)
        assert http_host == "0.0.0.0"
        ports = {port["name"]: port["containerPort"] for port in workload.container["ports"]}
        serves = {"http": http_port}
        if workload.role != "worker":
            api_host, api_port = split_address(settings.http_api)
            serves |= {"grpc": grpc_port, "connect": api_port}
            assert api_host == "0.0.0.0"
        assert ports == serves and (workload.role == "worker" or grpc_host == "0.0.0.0")
        probes = workload.probes()
        assert set(probes) == {"startup", "readiness", "liveness"}
        for probe in probes.values():
            if "grpc" in probe:
                assert probe["grpc"] == {"port": grpc_port} and settings.tls_certificate is None
            else:
                assert probe["httpGet"]["path"] in ("/healthz", "/readyz")
                assert workload.port(probe["httpGet"]["port"]) == http_port
        # An engine or a database that is away for a while is no reason to kill what runs.
        assert probes["liveness"].get("httpGet", {}).get("path") != "/readyz"
        # The client of the engine waits 30 s for it, and encoders are tried.
        assert probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"] >= 60


def test_grace_is_longer_than_the_drain(manifests: tuple[Manifest, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes kills a pod only after it had the time that its settings promise."""
    for workload in workloads(manifests):
        if workload.role == "migrate":
            continue
        asleep = workload.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        needed = asleep + _settings(workload, monkeypatch).drain_seconds + MARGIN_SECONDS
        assert workload.pod["terminationGracePeriodSeconds"] >= needed, workload.name


def test_pods_are_restricted(manifests: tuple[Manifest, ...]) -> None:
    """As the standard `restricted` asks, and more: a read-only root, no token of Kubernetes, no variables of services."""
    for namespace in find(manifests, "Namespace"):
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for workload in workloads(manifests):
        pod, container = workload.pod, workload.container
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True and security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (USER, USER, USER)
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        # Only workers that write their deletion cost may talk to Kubernetes.
        assert pod["automountServiceAccountToken"] is ("REELMILL_POD_NAME" in workload.environment(SECRETS))
        assert pod["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)


def test_children_are_confined(manifests: tuple[Manifest, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Everywhere by all that there is, but under gVisor, which has no Landlock."""
    for workload in workloads(manifests):
        if workload.role == "migrate":
            continue
        below_gvisor = workload.pod.get("runtimeClassName") == "gvisor"
        assert _settings(workload, monkeypatch).sandbox == ("prefer" if below_gvisor else "require")
        assert workload.pod.get("hostUsers", True) is not below_gvisor


def test_what_is_written_has_a_volume_with_a_bound(manifests: tuple[Manifest, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """The data folder lies on a volume; scratch stays below its size, so that no pod is evicted with all its attempts."""
    for workload in workloads(manifests):
        settings = _settings(workload, monkeypatch)
        (mount,) = (mount for mount in workload.container["volumeMounts"] if not mount.get("readOnly"))
        assert settings.data_dir.is_relative_to(mount["mountPath"])
        size = _size_of_volume(workload, mount["name"])
        if workload.role in ("serve", "worker"):
            assert 0 < settings.scratch_bytes <= 0.9 * size
            request = workload.container["resources"]["requests"].get("ephemeral-storage")
            assert workload.role == "serve" or _bytes(request) >= size
        if workload.role != "migrate":
            assert "memory" in workload.container["resources"]["limits"]


def _size_of_volume(workload: Workload, name: str) -> int:
    for volume in workload.pod.get("volumes", []):
        if volume["name"] == name:
            return _bytes(volume["emptyDir"]["sizeLimit"])
    (claim,) = workload.manifest["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == name
    return _bytes(claim["spec"]["resources"]["requests"]["storage"])


def _bytes(quantity: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Ki|Mi|Gi|Ti)", quantity).groups()  # type: ignore[union-attr]
    return int(number) << {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40}[unit]


def test_a_worker_knows_its_cores_and_fits_a_node_of_as_many(manifests: tuple[Manifest, ...]) -> None:
    """What a worker shares out is its container's limit, in whole cores; Kubernetes keeps some of a node's for itself."""
    for workload in workloads(manifests):
        if workload.role == "worker":
            requests, limits = (workload.container["resources"][kind] for kind in ("requests", "limits"))
            cores = int(limits["cpu"])
            assert cores >= 1 and 0.8 * cores <= int(requests["cpu"].removesuffix("m")) / 1000 <= cores - 0.3
            assert limits["memory"] == requests["memory"]


def test_a_rollout_needs_no_room_beside_what_is_there(manifests: tuple[Manifest, ...]) -> None:
    """Nodes may be full, and have one GPU: old workers go first, and a rollout waits as long as they may take."""
    for workload in workloads(manifests):
        if workload.role == "worker":
            spec = workload.manifest["spec"]
            rolling = spec["strategy"]["rollingUpdate"]
            assert rolling["maxSurge"] == 0 and rolling["maxUnavailable"] not in (0, "0%")
            assert spec["progressDeadlineSeconds"] > workload.pod["terminationGracePeriodSeconds"] + 180


def test_nodes_are_not_emptied_under_work(manifests: tuple[Manifest, ...]) -> None:
    """Autoscalers of nodes leave workers alone, and may move everything else."""
    for workload in workloads(manifests):
        if workload.role in ("api", "worker"):
            annotations = workload.manifest["spec"]["template"]["metadata"]["annotations"]
            stays = workload.role == "worker"
            assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == ("false" if stays else "true")
            assert ("karpenter.sh/do-not-disrupt" in annotations) is stays


def test_each_version_brings_its_own_migration() -> None:
    """A job cannot be changed: it has the version's name, and nothing in it changes with a setting."""
    (example,) = find(render("example"), "Job")
    assert example["metadata"]["name"] == "reelmill-migrate-0.1.0-cpu"
    for overlay in OVERLAYS[1:]:
        (job,) = (workload for workload in workloads(render(overlay)) if workload.role == "migrate")
        assert "envFrom" not in job.container and "ttlSecondsAfterFinished" not in job.manifest["spec"]


def test_names_and_namespaces_can_be_changed(tmp_path: Path) -> None:
    """All that refers to something else follows a namePrefix and another namespace."""
    components = ["components/temporal-cloud", "components/keda/temporal-cloud", "components/tracing"]
    content = yaml.safe_load((FOLDER / "example" / "kustomization.yaml").read_text())
    changed = render_of(
        tmp_path,
        namespace="media",
        namePrefix="second-",
        resources=["overlays/cpu"],
        components=[f"components/{name}" for name in ("monitoring", "keda/software", "scale-in")] + components,
        images=content["images"],
        replacements=content["replacements"],
    )
    names = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in changed}
    assert {name for kind, name in names if kind == "Namespace"} == {"media"}
    assert all(name.startswith("second-") for kind, name in names if kind != "Namespace")
    assert ("Job", "second-reelmill-migrate-0.1.0-cpu") in names
    assert {manifest["metadata"].get("namespace", "media") for manifest in changed} == {"media"}
    (scaled,) = find(changed, "ScaledObject")
    assert ("Deployment", scaled["spec"]["scaleTargetRef"]["name"]) in names
    busy, *queues = scaled["spec"]["triggers"]
    assert '{namespace="media",' in busy["metadata"]["query"]
    assert {("TriggerAuthentication", queue["authenticationRef"]["name"]) for queue in queues} <= names
    (binding,) = find(changed, "RoleBinding")
    assert ("Role", binding["roleRef"]["name"]) in names
    (subject,) = binding["subjects"]
    workers = [workload.pod["serviceAccountName"] for workload in workloads(changed) if workload.role == "worker"]
    assert [subject["name"]] == workers and subject["namespace"] == "media"


def test_a_pool_keeps_its_size_when_nobody_can_be_asked(everything: tuple[Manifest, ...]) -> None:
    """KEDA takes no work away because Prometheus or Temporal is away; each queue is asked for with the key that is needed."""
    for result in find(everything, "ScaledObject"):
        fallback = result["spec"]["fallback"]
        assert fallback["behavior"] == "currentReplicasIfHigher"
        assert result["spec"]["minReplicaCount"] <= fallback["replicas"] <= result["spec"]["maxReplicaCount"]
        for trigger in result["spec"]["triggers"]:
            assert ("authenticationRef" in trigger) is (trigger["type"] == "temporal")
    (key,) = find(everything, "TriggerAuthentication")
    (reference,) = key["spec"]["secretTargetRef"]
    assert SECRETS[reference["name"]][reference["key"]]


def test_traces_get_out(everything: tuple[Manifest, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy lets every role that makes them reach the collector of the settings."""
    (policy,) = find(everything, "NetworkPolicy", "collector")
    (rule,) = policy["spec"]["egress"]
    (expression,) = policy["spec"]["podSelector"]["matchExpressions"]
    for workload in workloads(everything):
        if workload.role == "migrate":
            continue
        host, _, port = _settings(workload, monkeypatch).otel_endpoint.removeprefix("http://").partition(":")
        assert host.split(".")[1] == rule["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        assert int(port) == rule["ports"][0]["port"]
        assert workload.labels["app.kubernetes.io/component"] in expression["values"]


def test_all_lanes_that_tasks_need_are_served(manifests: tuple[Manifest, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """First looks and encodes by CPU are done in every overlay; pools share no lane."""
    lanes = [
        lane
        for workload in workloads(manifests)
        if workload.role in ("serve", "worker")
        for lane in _settings(workload, monkeypatch).lane
    ]
    assert {"fast", "software"} <= set(lanes) and len(lanes) == len(set(lanes))


def test_only_the_control_plane_knows_the_database(manifests: tuple[Manifest, ...]) -> None:
    """Workers read hostile media: they have no way to the records. No secret's value is in a manifest."""
    assert not find(manifests, "Secret")
    for workload in workloads(manifests):
        has = "REELMILL_DATABASE_URL" in workload.environment(SECRETS)
        assert has == (workload.role in ("api", "migrate"))
        secret = {setting.variable for setting in SETTINGS.values() if "SecretStr" in str(setting.info.annotation)}
        plain = {variable["name"] for variable in workload.container.get("env", []) if "value" in variable}
        assert not secret & plain


def _selected(manifests: tuple[Manifest, ...], labels: Mapping[str, str]) -> list[Workload]:
    return [result for result in workloads(manifests) if labels.items() <= result.labels.items()]


def test_selectors_find_what_they_mean(manifests: tuple[Manifest, ...]) -> None:
    """Services, budgets and scalers select one workload each, and it has what they name."""
    for service in find(manifests, "Service"):
        (workload,) = _selected(manifests, service["spec"]["selector"])
        for port in service["spec"]["ports"]:
            assert workload.port(port["targetPort"]) == port["port"]
    for budget in find(manifests, "PodDisruptionBudget"):
        assert len(_selected(manifests, budget["spec"]["selector"]["matchLabels"])) == 1
    for workload in workloads(manifests):
        for constraint in workload.pod.get("topologySpreadConstraints", []):
            assert _selected(manifests, constraint["labelSelector"]["matchLabels"]) == [workload]
    for scaler in [*find(manifests, "HorizontalPodAutoscaler"), *find(manifests, "ScaledObject")]:
        (target,) = find(manifests, "Deployment", scaler["spec"]["scaleTargetRef"]["name"])
        assert "replicas" not in target["spec"], "a count in the manifest would undo the scaler's at each apply"


def test_policies_deny_and_then_allow(manifests: tuple[Manifest, ...]) -> None:
    """Everything is denied first; each other policy is about pods that exist and ports that they have."""
    policies = find(manifests, "NetworkPolicy")
    if [workload.role for workload in workloads(manifests)] == ["serve"]:
        return  # it has callers to keep out only
    first = next(policy for policy in policies if policy["metadata"]["name"] == "deny-all")
    assert first["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    components = {workload.labels["app.kubernetes.io/component"] for workload in workloads(manifests)}
    for policy in policies:
        selector = policy["spec"]["podSelector"]
        named = {value for rule in selector.get("matchExpressions", []) for value in rule["values"]}
        assert named <= components
        chosen = _selected(manifests, selector.get("matchLabels", {}))
        assert chosen
        for rule in policy["spec"].get("ingress", []):
            for port in rule["ports"]:
                assert all(workload.port(port["port"]) for workload in chosen if workload.role != "migrate")


def test_names_are_asked_of_the_cluster_s_dns_only(manifests: tuple[Manifest, ...]) -> None:
    """Questions for names to any other server would carry data out."""
    for policy in find(manifests, "NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            if any(port["port"] == 53 for port in rule["ports"]):
                (peer,) = rule["to"]
                assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "kube-system"}
                assert peer["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}
                assert {port["port"] for port in rule["ports"]} == {53}


def test_scaling_looks_at_the_queues_of_the_pool(everything: tuple[Manifest, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """KEDA's triggers name the queues from which the pool's lanes take, in the namespace of the settings, and real metrics."""
    metrics = Metrics().render().decode()
    pools = {workload.name: workload for workload in workloads(everything) if workload.role == "worker"}
    scaled = find(everything, "ScaledObject")
    assert {result["spec"]["scaleTargetRef"]["name"] for result in scaled} == set(pools)
    for result in scaled:
        settings = _settings(pools[result["spec"]["scaleTargetRef"]["name"]], monkeypatch)
        triggers = {trigger["name"]: trigger for trigger in result["spec"]["triggers"]}
        queues = [trigger["metadata"] for trigger in triggers.values() if trigger["type"] == "temporal"]
        expected = {FAST_QUEUE if lane == "fast" else encode_queue(lane) for lane in settings.lane}
        assert {queue["taskQueue"] for queue in queues} == expected
        for queue in queues:
            assert queue["namespace"] == settings.temporal_namespace and queue["queueTypes"] == "activity"
            assert queue["endpointFromEnv"] == SETTINGS["temporal_address"].variable
        formula = result["spec"]["advanced"]["scalingModifiers"]["formula"]
        assert set(re.findall(r"[a-z]+", formula)) == set(triggers)
        query = triggers["busy"]["metadata"]["query"]
        assert f'reelmill_pool="{result["metadata"]["name"].rpartition("-")[2]}"' in query
        assert re.search(r"reelmill_\w+", query)[0] in metrics  # type: ignore[index]
        # What is waiting for an accelerator that nobody shows to have does not come to its queue.
        assert result["spec"]["minReplicaCount"] >= 1


def test_the_dashboard_comes_as_grafana_finds_it(everything: tuple[Manifest, ...]) -> None:
    """Whole, and labelled for the sidecar."""
    (result,) = (one for one in find(everything, "ConfigMap") if one["metadata"]["name"] == "reelmill-dashboard")
    assert result["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(result["data"]["reelmill.json"])["uid"] == "reelmill"


def test_the_monitor_finds_the_metrics(everything: tuple[Manifest, ...]) -> None:
    """It selects all pods that have metrics, and names their port."""
    (monitor,) = find(everything, "PodMonitor")
    chosen = [
        result for result in _selected(everything, monitor["spec"]["selector"]["matchLabels"]) if result.role != "migrate"
    ]
    assert {result.role for result in chosen} == {"api", "worker"}
    for endpoint in monitor["spec"]["podMetricsEndpoints"]:
        assert endpoint["path"] == "/metrics"
        assert all(result.port(endpoint["port"]) for result in chosen)


def test_the_image_is_the_one_that_is_built() -> None:
    """Its user, its folder and its program; each image that is named is a target."""
    text = (REPOSITORY / "Dockerfile").read_text()
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE)[-1] == f"{USER}:{USER}"
    assert 'ENTRYPOINT ["reelmill-server"]' in text and "VOLUME /data" in text
    assert all(f" {name}={value}" in text for name, value in IMAGE.items())
    targets = set(re.findall(r"^FROM \S+ AS (\w+)$", text, re.MULTILINE))
    for overlay in OVERLAYS[:-1]:
        for workload in workloads(render(overlay)):
            assert workload.container["image"].removeprefix("reelmill-") in targets


def _values() -> Any:
    return yaml.safe_load((FOLDER / "temporal" / "values.yaml").read_text())


def test_temporal_is_set_up_as_the_settings_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    """The namespace is made, fairness is on, and the address is that of the chart's release."""
    (api,) = (workload for workload in workloads(render("overlays/cpu")) if workload.role == "api")
    settings = _settings(api, monkeypatch)
    server = _values()["server"]
    assert settings.temporal_namespace in {result["name"] for result in server["config"]["namespaces"]["namespace"]}
    assert server["dynamicConfig"]["matching.enableFairness"] == [{"value": True}]
    assert settings.temporal_address == "temporal-frontend.temporal.svc.cluster.local:7233"
    for store in server["config"]["persistence"]["datastores"].values():
        assert "password" not in store["sql"] and store["sql"]["existingSecret"]


def test_files_that_the_page_names_exist() -> None:
    """Its commands lead nowhere that is not there."""
    text = (REPOSITORY / "docs" / "kubernetes.md").read_text()
    for path in re.findall(r"(?<![\w/])k8s/[\w./-]*\w", text):
        assert (REPOSITORY / path).exists(), path
