"""What must hold between the documents of one rendered mesh and no schema can say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from voxmesh_routing.settings import parse_backends

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment of one container, with the parts that rules ask for."""

    name: str
    document: Document
    pod: Document
    container: Document
    env: dict[str, Document]

    @classmethod
    def of(cls, document: Document) -> Workload:
        """Read a Deployment that the schema has accepted."""
        pod = document["spec"]["template"]["spec"]
        container = pod["containers"][0]
        env = {entry["name"]: entry for entry in container.get("env", ())}
        return cls(document["metadata"]["name"], document, pod, container, env)

    @property
    def labels(self) -> Document:
        """Labels of its pods."""
        return self.document["spec"]["template"]["metadata"]["labels"]

    @property
    def port(self) -> int | None:
        """Port of the container named `grpc`."""
        return next((port["containerPort"] for port in self.container["ports"] if port["name"] == "grpc"), None)

    def value(self, name: str) -> str:
        """A plain environment variable, empty when it is not set."""
        return self.env.get(name, {}).get("value", "")

    def config_map_at(self, folder: str) -> str:
        """Name of the ConfigMap that is mounted at `folder`, empty when there is none."""
        mounted = {m["name"] for m in self.container.get("volumeMounts", ()) if m["mountPath"] == folder}
        volumes = [volume for volume in self.pod.get("volumes", ()) if volume["name"] in mounted]
        return next((volume["configMap"]["name"] for volume in volumes if "configMap" in volume), "")


@dataclass(frozen=True, slots=True)
class Mesh:
    """All documents of one variant."""

    documents: list[Document]
    workloads: list[Workload]
    root: Path

    @classmethod
    def of(cls, documents: list[Document], root: Path) -> Mesh:
        """Sort the documents of a variant of the repository at `root`."""
        return cls(documents, [Workload.of(d) for d in documents if d["kind"] == "Deployment"], root)

    @property
    def config_maps(self) -> dict[str, dict[str, str]]:
        """The data of every ConfigMap by its name."""
        return {document["metadata"]["name"]: document.get("data", {}) for document in self.kind("ConfigMap")}

    def kind(self, kind: str) -> list[Document]:
        """All documents of one kind."""
        return [document for document in self.documents if document["kind"] == kind]


Rule = Callable[[Mesh], Iterator[str]]


def one_namespace(mesh: Mesh) -> Iterator[str]:
    """Everything lives in the namespace that the variant creates."""
    namespaces = {document["metadata"]["name"] for document in mesh.kind("Namespace")}
    for document in mesh.documents:
        if document["kind"] != "Namespace" and document["metadata"].get("namespace") not in namespaces:
            yield f"{document['kind']}/{document['metadata']['name']} is not in a namespace of {sorted(namespaces)}"


def headless_service(mesh: Mesh) -> Iterator[str]:
    """Each Deployment has a headless Service with its selector and a port named grpc that leads to it."""
    for workload in mesh.workloads:
        selector = workload.document["spec"]["selector"]["matchLabels"]
        services = [s["spec"] for s in mesh.kind("Service") if s["spec"].get("selector") == selector]
        if not any(service.get("clusterIP") == "None" for service in services):
            yield f"{workload.name}: no headless Service has its selector {selector}"
        for service in services:
            ports = {port["name"]: port for port in service["ports"]}
            if ports.get("grpc", {}).get("targetPort") != "grpc" or ports["grpc"]["port"] != workload.port:
                yield f"{workload.name}: its Service has no port grpc that leads to {workload.port}"


def probes(mesh: Mesh) -> Iterator[str]:
    """All three probes ask the gRPC port."""
    for workload in mesh.workloads:
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            asked = workload.container.get(probe, {}).get("grpc", {}).get("port")
            if asked is None or asked != workload.port:
                yield f"{workload.name}: {probe} asks port {asked}, the container listens on {workload.port}"


def drain(mesh: Mesh) -> Iterator[str]:
    """A pod may live longer than its drain takes, and leaves only after the balancer has seen it go."""
    for workload in mesh.workloads:
        delay, wait = (float(workload.value(f"VOXMESH_DRAIN_{part}") or 0) for part in ("DELAY_S", "S"))
        grace = workload.pod.get("terminationGracePeriodSeconds", 30)
        if not wait or grace <= delay + wait:
            yield f"{workload.name}: terminationGracePeriodSeconds {grace} is not above the drain of {delay + wait:g} s"
        readiness = workload.container["readinessProbe"]
        seen = readiness.get("periodSeconds", 10) * readiness.get("failureThreshold", 3)
        if delay <= seen:
            yield f"{workload.name}: VOXMESH_DRAIN_DELAY_S {delay:g} is not above the {seen} s of the readiness probe"


def targets(mesh: Mesh) -> Iterator[str]:
    """Every target names a headless Service and its port, or a full domain name outside the cluster."""
    known = _headless(mesh)
    for workload in mesh.workloads:
        for name in workload.env:
            target = workload.value(name)
            if name.endswith("_TARGET") and target not in known and "." not in target:
                yield f"{workload.name}: {name}={target} is none of {sorted(known)}"


def backends(mesh: Mesh) -> Iterator[str]:
    """A file of backends is rendered, is one that the coordinator takes, and names targets that exist."""
    known = _headless(mesh)
    for workload in mesh.workloads:
        path = PurePosixPath(workload.value("VOXMESH_BACKENDS_FILE"))
        if path == PurePosixPath():
            continue
        name = workload.config_map_at(str(path.parent))
        text = mesh.config_maps.get(name, {}).get(path.name)
        if text is None:
            yield f"{workload.name}: VOXMESH_BACKENDS_FILE={path} is in no ConfigMap that is rendered and mounted"
            continue
        try:
            found = parse_backends(text, f"ConfigMap {name}: {path.name}")
        except ValueError as error:
            yield f"{workload.name}: {error}"
            continue
        for slot, each in found.items():
            if workload.value(f"VOXMESH_{slot.upper()}_BACKENDS"):
                yield f"{workload.name}: {slot} is in {path} and in VOXMESH_{slot.upper()}_BACKENDS"
            for target in (backend.target for backend in each):
                if target not in known and "." not in target:
                    yield f"{workload.name}: {path.name}: {slot}: {target} is none of {sorted(known)}"


def _headless(mesh: Mesh) -> set[str]:
    """Targets of all headless Services."""
    return {
        f"dns:///{service['metadata']['name']}:{port['port']}"
        for service in mesh.kind("Service")
        for port in service["spec"]["ports"]
        if service["spec"].get("clusterIP") == "None"
    }


def images(mesh: Mesh) -> Iterator[str]:
    """An image has a tag that says what runs, and the engine it names exists."""
    for workload in mesh.workloads:
        image: str = workload.container["image"]
        tag = image.rpartition("/")[2].partition(":")[2]
        if tag in {"", "latest"}:
            yield f"{workload.name}: image {image} has no fixed tag"
        engines = mesh.root / "services" / workload.name / "engines"
        engine = workload.value("VOXMESH_ENGINE")
        if engines.is_dir() and (not engine or not (engines / engine).is_dir()):
            yield f"{workload.name}: VOXMESH_ENGINE={engine} is no engine of this slot"
        if engine not in tag:
            yield f"{workload.name}: image {image} is not that of VOXMESH_ENGINE={engine}"


def rights(mesh: Mesh) -> Iterator[str]:
    """A pod has no more rights than it needs, and its resources are bounded."""
    for workload in mesh.workloads:
        pod, own = workload.pod.get("securityContext", {}), workload.container.get("securityContext", {})
        demands = {
            "runAsNonRoot": pod.get("runAsNonRoot") is True and pod.get("runAsUser", 0) > 0,
            "seccompProfile RuntimeDefault": pod.get("seccompProfile") == {"type": "RuntimeDefault"},
            "readOnlyRootFilesystem": own.get("readOnlyRootFilesystem") is True,
            "allowPrivilegeEscalation false": own.get("allowPrivilegeEscalation") is False,
            "capabilities drop ALL": own.get("capabilities") == {"drop": ["ALL"]},
            "automountServiceAccountToken false": workload.pod.get("automountServiceAccountToken") is False,
            "a ServiceAccount of its own": workload.pod.get("serviceAccountName") == workload.name,
            "a memory limit": "memory" in workload.container.get("resources", {}).get("limits", {}),
            "a cpu request": "cpu" in workload.container.get("resources", {}).get("requests", {}),
            "a writable cache": _writable(workload, workload.value("VOXMESH_CACHE_DIR")),
            "a writable /tmp": _writable(workload, "/tmp"),  # noqa: S108 # a path in the container
        }
        yield from (f"{workload.name}: lacks {demand}" for demand, met in demands.items() if not met)


def _writable(workload: Workload, path: str) -> bool:
    mounted = {mount["name"] for mount in workload.container.get("volumeMounts", ()) if mount["mountPath"] == path}
    volumes = [volume for volume in workload.pod.get("volumes", ()) if volume["name"] in mounted]
    return any({"emptyDir", "persistentVolumeClaim"} & volume.keys() for volume in volumes)


def disruption_budget(mesh: Mesh) -> Iterator[str]:
    """A node's drain takes one pod of a service at a time."""
    selectors = [budget["spec"]["selector"] for budget in mesh.kind("PodDisruptionBudget")]
    for workload in mesh.workloads:
        if workload.document["spec"]["selector"] not in selectors:
            yield f"{workload.name}: no PodDisruptionBudget has its selector"


def selectors(mesh: Mesh) -> Iterator[str]:
    """What a Deployment selects are its own pods."""
    for workload in mesh.workloads:
        if not workload.document["spec"]["selector"]["matchLabels"].items() <= workload.labels.items():
            yield f"{workload.name}: its selector does not match its pods"


def autoscalers(mesh: Mesh) -> Iterator[str]:
    """An autoscaler alone decides on replicas, and adds one before pods refuse streams."""
    workloads = {workload.name: workload for workload in mesh.workloads}
    for scaler in mesh.kind("HorizontalPodAutoscaler"):
        name = scaler["spec"]["scaleTargetRef"]["name"]
        workload = workloads.get(name)
        if workload is None:
            yield f"{name}: an autoscaler has no Deployment"
            continue
        if "replicas" in workload.document["spec"]:
            yield f"{name}: replicas are set and autoscaled"
        limit = int(workload.value("VOXMESH_MAX_STREAMS") or 0)
        for metric in scaler["spec"]["metrics"]:
            target = metric["pods"]["target"]["averageValue"]
            if int(target) >= limit:
                yield f"{name}: scales at {target} streams, not below VOXMESH_MAX_STREAMS={limit}"


def accelerators(mesh: Mesh) -> Iterator[str]:
    """A Deployment that wants a GPU gets one, whatever the order of a host's components."""
    for workload in mesh.workloads:
        wants = workload.document["metadata"]["labels"].get("voxmesh.dev/accelerator") == "gpu"
        if wants and "nvidia.com/gpu" not in workload.container["resources"]["limits"]:
            yield f"{workload.name}: wants a GPU; list components/gpu after the component that labels it"


def references(mesh: Mesh) -> Iterator[str]:
    """Every variable and ConfigMap key that an environment uses is there when it is used."""
    maps = mesh.config_maps
    for workload in mesh.workloads:
        for volume in workload.pod.get("volumes", ()):
            if "configMap" in volume and volume["configMap"]["name"] not in maps:
                name = volume["configMap"]["name"]
                yield f"{workload.name}: volume {volume['name']} wants ConfigMap {name}, which is not rendered"
        earlier: set[str] = set()
        for name, entry in workload.env.items():
            key = entry.get("valueFrom", {}).get("configMapKeyRef")
            if key and key["key"] not in maps.get(key["name"], {}):
                yield f"{workload.name}: {name} wants {key['key']} of ConfigMap {key['name']}, which is not rendered"
            for used in set(re.findall(r"\$\((\w+)\)", entry.get("value", ""))) - earlier:
                yield f"{workload.name}: {name} uses {used} before it is set"
            earlier.add(name)


RULES: tuple[Rule, ...] = (
    one_namespace,
    selectors,
    headless_service,
    probes,
    drain,
    targets,
    backends,
    images,
    rights,
    disruption_budget,
    autoscalers,
    accelerators,
    references,
)
