"""The Dockerfiles and manifests, as far as they can be proved without a container engine and a cluster."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from distributions import distributions
from dockerfile import Dockerfile
from k8s_check import Variant, check, complaints_about, main, render
from k8s_rules import Mesh

from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_runtime.settings import ServerSettings

pytestmark = pytest.mark.server

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILES = sorted((ROOT / "services").glob("*/Dockerfile"))
SERVICES = [path.parent.name for path in DOCKERFILES]
LIBRARIES = ("routing",)
"""Of services, for some of them."""


def without_names(service: str) -> str:
    """A Dockerfile of which only what all services share is left, that is, without a library of its own."""
    lines = (ROOT / "services" / service / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if "apt-get" not in line and (line == lines[0] or line[:1] != "#"))
    for library in LIBRARIES:
        text = text.replace(f"COPY services/{library} services/{library}\n", "").replace(f"./services/{library} ", "")
    description = tomllib.loads((ROOT / "services" / service / "pyproject.toml").read_text())["project"]["description"]
    engine = Dockerfile.of(service).arguments.get("ENGINE", "none")
    for name in (description, f"ENGINE={engine}", service.replace("-", "_"), service):
        text = re.sub(rf"(?<![a-z]){re.escape(name)}(?![a-z])", "*", text.replace(f"voxmesh_{name}", "*"))
    return re.sub(r"5005\d", "*", text)


def deployment(service: str) -> str:
    return (ROOT / "k8s/base" / f"{service}.yaml").read_text()


def test_every_service_has_a_dockerfile() -> None:
    found = distributions().values()
    assert set(SERVICES) == {one.path.name for one in found if one.scripts and one.path.parent.name == "services"}


@pytest.mark.parametrize("service", SERVICES)
def test_everything_a_dockerfile_copies_exists_and_enters_the_build_context(service: str) -> None:
    sources = [source for line in Dockerfile.of(service).all("COPY") for source in line.split()[:-1]]
    context = [
        source for line in Dockerfile.of(service).all("COPY") if "--from" not in line for source in line.split()[:-1]
    ]
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert len(sources) > len(context) > 0
    for source in context:
        assert list(ROOT.glob(source)), source
        parents = [Path(source), *Path(source).parents]
        assert any(parent.match(pattern) for parent in parents for pattern in allowed), source


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_starts_its_service_without_root(service: str) -> None:
    dockerfile = Dockerfile.of(service)
    assert dockerfile.all("USER") == ["10001:10001"]
    assert dockerfile.all("STOPSIGNAL") == ["SIGTERM"]
    assert dockerfile.all("ENTRYPOINT") == [f'["python", "-m", "voxmesh_{service.replace("-", "_")}"]']


@pytest.mark.parametrize("service", SERVICES)
def test_the_ports_of_image_and_manifest_agree(service: str) -> None:
    dockerfile = Dockerfile.of(service)
    (port,) = dockerfile.all("EXPOSE")
    assert f"VOXMESH_PORT={port} " in " ".join(dockerfile.all("ENV")) + " "
    assert f"127.0.0.1:{port}" in dockerfile.all("HEALTHCHECK")[0]
    assert f"containerPort: {port}\n" in deployment(service)


def test_dockerfiles_differ_in_names_only() -> None:
    with_engines = {without_names(name) for name in SERVICES if (ROOT / "services" / name / "engines").is_dir()}
    alone = {without_names(name) for name in SERVICES if not (ROOT / "services" / name / "engines").is_dir()}
    assert (len(with_engines), len(alone)) == (1, 1)


def test_hadolint_has_nothing_to_say() -> None:
    subprocess.run(["hadolint", *map(str, DOCKERFILES)], check=True)


def test_every_engine_folder_is_a_component() -> None:
    engines = [path.parent for path in (ROOT / "services").glob("*/engines/*/pyproject.toml")]
    assert engines
    assert [path.name for path in engines if not (path / "kustomization.yaml").is_file()] == []


def settings_class(service: str) -> type[ServerSettings]:
    module = pytest.importorskip(f"voxmesh_{service.replace('-', '_')}.settings")
    (found,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ServerSettings) and value.__module__ == module.__name__
    )
    return found


@pytest.fixture(scope="module")
def titan() -> Mesh:
    """What a host of ours applies, rendered once."""
    return Mesh.of(render(Variant("titan", ROOT / "k8s/hosts/titan")), ROOT)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_every_variable_that_image_and_manifest_set(
    service: str, titan: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = settings_class(service)
    (workload,) = (workload for workload in titan.workloads if workload.name == service)
    image = dict(word.split("=", 1) for line in Dockerfile.of(service).all("ENV") for word in line.split())
    given = image | {name: workload.value(name) or "http://from.elsewhere" for name in workload.env}
    given = {name: value for name, value in given.items() if name.startswith("VOXMESH_")}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert kind().host == "0.0.0.0"  # noqa: S104 # in a container
    assert {name.removeprefix("VOXMESH_").lower() for name in given} <= set(kind.model_fields)


AUTOSCALED = "base with autoscaling + backends + gpu + shared-sessions + telemetry + upstream-llm"
"""The variant with all components."""


def told(root: Path, only: str) -> str:
    """All that is wrong with the variants so named; empty when nothing is, and there must be some."""
    results = check(root, only)
    assert results
    return "\n".join(line for lines in results.values() for line in lines)


def copy_of_manifests(folder: Path) -> Path:
    """The manifests alone, free to be broken."""
    root = folder.resolve() / "repo"
    shutil.copytree(ROOT / "k8s", root / "k8s")
    for path in ROOT.glob("services/*/engines/*/kustomization.yaml"):
        to = root / path.relative_to(ROOT)
        to.parent.mkdir(parents=True)
        shutil.copy(path, to)
    return root


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy for this test."""
    return copy_of_manifests(tmp_path)


def break_in(root: Path, file: str, old: str, new: str) -> None:
    """Replace a text that must be there."""
    path = root / "k8s" / file
    text = path.read_text()
    assert old in text, file
    path.write_text(text.replace(old, new))


BREAKS_OF_RULES = {
    "a probe of another port": (
        "base/stt.yaml",
        "            port: 50052",
        "            port: 50053",
        "stt: readinessProbe asks port 50053",
    ),
    "a container on another port": (
        "base/tts.yaml",
        "containerPort: 50053",
        "containerPort: 50063",
        "tts: its Service has no port grpc",
    ),
    "a port without its name": (
        "base/vlm.yaml",
        "  - name: grpc\n    port",
        "  - name: http\n    port",
        "vlm: its Service has no port grpc",
    ),
    "a Service that is not headless": ("base/turn.yaml", "  clusterIP: None\n", "", "turn: no headless Service"),
    "a selector of other pods": (
        "base/embed.yaml",
        "  selector:\n    app",
        "  selector:\n    x",
        "embed: no headless Service",
    ),
    "a drain unseen": ("base/pod.yaml", 'value: "10"', 'value: "5"', "readiness probe"),
    "a target that no one serves": (
        "base/coordinator.yaml",
        "dns:///tts:50053",
        "dns:///tss:50053",
        "VOXMESH_TTS_TARGET=dns:///tss:50053 is none of",
    ),
    "a latest image": (
        "base/llm-proxy.yaml",
        ":0.1.0",
        ":latest",
        "llm-proxy: image voxmesh/llm-proxy:latest has no fixed tag",
    ),
    "an image without a tag": (
        "base/coordinator.yaml",
        ":0.1.0",
        "",
        "coordinator: image voxmesh/coordinator has no fixed tag",
    ),
    "a writable root": (
        "base/pod.yaml",
        "readOnlyRootFilesystem: true",
        "readOnlyRootFilesystem: false",
        "readOnlyRoot",
    ),
    "the rights of root": ("base/pod.yaml", "runAsUser: 10001", "runAsUser: 0", "runAsNonRoot"),
    "no disruption budget": (
        "base/stt.yaml",
        "      app.kubernetes.io/name: stt\n---",
        "      x: y\n---",
        "stt: no PodDisruptionBudget",
    ),
    "a GPU that never comes": (
        "components/gpu/kustomization.yaml",
        "accelerator=gpu",
        "accelerator=tpu",
        "wants a GPU",
    ),
    "a key of no ConfigMap": ("hosts/titan/kustomization.yaml", "- url=", "- address=", "which is not rendered"),
    "a host without its namespace": (
        "hosts/titan/kustomization.yaml",
        "namespace: voxmesh\n",
        "",
        "not in a namespace",
    ),
}
"""Name: file, text, what stands in its place, and what is said of it then."""


@pytest.fixture(scope="module")
def told_at_once(tmp_path_factory: pytest.TempPathFactory) -> str:
    """All that is wrong with a host in whose manifests every one of these is broken."""
    root = copy_of_manifests(tmp_path_factory.mktemp("broken"))
    for file, old, new, _ in BREAKS_OF_RULES.values():
        break_in(root, file, old, new)
    return told(root, "titan")


def test_manifests_as_they_are_break_no_rule(titan: Mesh) -> None:
    assert complaints_about(titan.documents, ROOT) == []


@pytest.mark.parametrize("name", BREAKS_OF_RULES)
def test_a_broken_rule_is_found(name: str, told_at_once: str) -> None:
    assert BREAKS_OF_RULES[name][-1] in told_at_once


BREAKS = {
    "no time to drain": (
        "base/pod.yaml",
        "terminationGracePeriodSeconds: 90",
        "terminationGracePeriodSeconds: 70",
        "terminationGracePeriodSeconds 70",
    ),
    "a misspelt probe": ("base/pod.yaml", "readinessProbe:", "readynessProbe:", "readynessProbe"),
    "a number as a word": ("components/autoscaling/autoscalers.yaml", "minReplicas: 2", 'minReplicas: "one"', "'one'"),
    "a file that is not there": ("base/kustomization.yaml", "- stt.yaml", "- sst.yaml", "sst.yaml"),
    "an autoscaler that comes too late": (
        "components/autoscaling/autoscalers.yaml",
        'averageValue: "6"',
        'averageValue: "8"',
        "not below VOXMESH_MAX_STREAMS=8",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_manifest_is_found(name: str, copied: Path) -> None:
    file, old, new, complaint = BREAKS[name]
    break_in(copied, file, old, new)
    variant = AUTOSCALED if "autoscaling" in file else "titan"
    assert complaint in told(copied, variant)


def test_the_command_tells_an_engine_that_does_not_exist(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # It checks all variants of this checkout in `make k8s-check`.
    def command(only: str) -> int:
        monkeypatch.setattr(sys, "argv", ["k8s_check", "--root", str(copied), only])
        return main()

    assert command("laptop") == 0
    path = copied / "services/stt/engines/moonshine/kustomization.yaml"
    path.write_text(path.read_text().replace("value: moonshine", "value: sunshine"))
    assert command("laptop") == 1
    assert "VOXMESH_ENGINE=sunshine is no engine of this slot" in capsys.readouterr().err
    assert command("no such variant") == 1


OWN_HOST = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: voxmesh
resources:
- ../../base
components:
- ../../components/default-engines
- ../../components/backends
configMapGenerator:
- name: coordinator-backends
  files:
  - backends.json
"""
BACKENDS = {"stt": [{"target": "dns:///stt:50052", "languages": ["en"]}, {"target": "dns:///stt.example.net:50052"}]}


def with_backends(root: Path, content: object) -> Path:
    """A host of its own with a file of backends."""
    host = root / "k8s/hosts/own"
    host.mkdir(exist_ok=True)
    (host / "kustomization.yaml").write_text(OWN_HOST)
    (host / "backends.json").write_text(json.dumps(content, indent=2))
    return host


def template(documents: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = (d for d in documents if d["kind"] == "Deployment" and d["metadata"]["name"] == name)
    return found["spec"]["template"]


def test_other_backends_roll_out_the_coordinator_and_nothing_else(copied: Path) -> None:
    before = render(Variant("own", with_backends(copied, BACKENDS)))
    after = render(Variant("own", with_backends(copied, {"stt": [{"target": "dns:///stt:50052"}]})))
    assert template(before, "coordinator") != template(after, "coordinator")
    assert template(before, "stt") == template(after, "stt")


def test_what_a_host_gives_as_backends_is_what_the_coordinator_reads(copied: Path, tmp_path: Path) -> None:
    documents = render(Variant("own", with_backends(copied, BACKENDS)))
    pod = template(documents, "coordinator")["spec"]
    (container,) = pod["containers"]
    (variable,) = (each for each in container["env"] if each["name"] == "VOXMESH_BACKENDS_FILE")
    (mount,) = (each for each in container["volumeMounts"] if each["mountPath"] == str(Path(variable["value"]).parent))
    (volume,) = (each for each in pod["volumes"] if each["name"] == mount["name"])
    (mounted,) = (
        document["data"]
        for document in documents
        if document["kind"] == "ConfigMap" and document["metadata"]["name"] == volume["configMap"]["name"]
    )
    for name, text in mounted.items():
        (tmp_path / name).write_text(text)
    settings = CoordinatorSettings(backends_file=tmp_path / Path(variable["value"]).name)
    assert [backend.target for backend in settings.backends("stt")] == [each["target"] for each in BACKENDS["stt"]]


WRONG_BACKENDS = {
    "a misspelt field": ({"stt": [{"target": "dns:///stt:50052", "purpose": "x"}]}, "backends.json: stt.0.purpose"),
    "a slot that is none": ({"asr": []}, "backends.json: asr"),
    "a target that no one serves": ({"stt": [{"target": "dns:///sst:50052"}]}, "stt: dns:///sst:50052 is none of"),
    "the port of another slot": ({"stt": [{"target": "dns:///stt:50053"}]}, "stt: dns:///stt:50053 is none of"),
    "no table": ([], "backends.json: file"),
}


@pytest.fixture(scope="module")
def own_host(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """A host of its own with a file of backends, rendered once."""
    root = copy_of_manifests(tmp_path_factory.mktemp("own"))
    return render(Variant("own", with_backends(root, BACKENDS)))


def test_a_host_with_a_file_of_backends_breaks_no_rule(own_host: list[dict[str, Any]]) -> None:
    assert complaints_about(own_host, ROOT) == []


@pytest.mark.parametrize("name", WRONG_BACKENDS)
def test_a_wrong_file_of_backends_is_found(name: str, own_host: list[dict[str, Any]]) -> None:
    content, complaint = WRONG_BACKENDS[name]
    documents = deepcopy(own_host)
    (data,) = (each["data"] for each in documents if "backends.json" in each.get("data", {}))
    data["backends.json"] = json.dumps(content)
    assert complaint in "\n".join(complaints_about(documents, ROOT))


BROKEN_HOSTS = {
    "a file under another name": ("hosts/own", "  - backends.json", "  - other.json=backends.json", "in no ConfigMap"),
    "no ConfigMap": ("hosts/own", "coordinator-backends", "elsewhere", "volume backends wants ConfigMap"),
    "a mount elsewhere": ("components/backends", "mountPath: /etc/voxmesh", "mountPath: /etc/mesh", "in no ConfigMap"),
    "a slot that is set twice": (
        "components/backends",
        "            env:\n",
        "            env:\n            - name: VOXMESH_STT_BACKENDS\n              value: '[]'\n",
        "stt is in /etc/voxmesh/backends.json and in VOXMESH_STT_BACKENDS",
    ),
}


@pytest.mark.parametrize("name", BROKEN_HOSTS)
def test_a_file_of_backends_that_does_not_arrive_is_found(name: str, copied: Path) -> None:
    folder, old, new, complaint = BROKEN_HOSTS[name]
    with_backends(copied, BACKENDS)
    break_in(copied, f"{folder}/kustomization.yaml", old, new)
    assert complaint in told(copied, "host own")


def test_what_tests_need_is_in_no_container() -> None:
    locks = [*ROOT.glob("services/**/requirements.txt"), ROOT / "requirements/default.txt"]
    assert len(locks) > 10
    assert not [
        str(path) for path in locks if re.search(r"^(pytest|jiwer|hypothesis)\b", path.read_text(), re.MULTILINE)
    ]
    shipped = [path for path in ROOT.glob("services/**/voxmesh_*/**/*.py") if "testing" not in str(path)]
    assert len(shipped) > 100
    assert not [str(path) for path in shipped if "import pytest" in path.read_text()]


def test_engines_that_others_name_are_engines_of_the_project() -> None:
    there = {path.parent.name for path in ROOT.glob("services/*/engines/*/pyproject.toml")}
    named: set[str] = set()
    for path in ROOT.glob("services/*/engines/*/voxmesh_*/*.py"):
        for found in re.findall(r"\b(?:alternatives|readers)=\(([^)]*)\)", path.read_text()):
            named |= set(re.findall(r'"(\w+)"', found))
    assert {"qwen_vl", "tesseract"} <= named <= there
