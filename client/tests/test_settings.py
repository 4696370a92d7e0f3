"""Where a client looks for services."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from voxmesh_client import Mesh, MeshSettings
from voxmesh_client.slots import COORDINATOR, SLOTS, STT, TTS

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for slot in SLOTS:
        monkeypatch.delenv(f"VOXMESH_{slot.name.upper()}_TARGET", raising=False)
    monkeypatch.delenv("VOXMESH_BASE_PORT", raising=False)


def test_services_follow_the_coordinators_port_on_loopback() -> None:
    targets = [MeshSettings().target(slot) for slot in SLOTS]
    assert targets == [f"127.0.0.1:{port}" for port in range(50050, 50057)]
    assert MeshSettings(base_port=51000).target(STT) == "127.0.0.1:51002"


def test_a_variable_moves_one_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXMESH_STT_TARGET", "dns:///stt:50052")
    assert MeshSettings().target(STT) == "dns:///stt:50052"
    assert MeshSettings().target(TTS) == "127.0.0.1:50053"


def test_the_command_line_overrides_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXMESH_STT_TARGET", "one:1")
    assert MeshSettings().with_target(STT, "two:2").target(STT) == "two:2"
    assert MeshSettings().with_target(STT, None).target(STT) == "one:1"


async def test_a_local_mesh_takes_no_target_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXMESH_COORDINATOR_TARGET", "elsewhere:1")
    async with Mesh.local(51000) as mesh:
        assert mesh.settings.target(COORDINATOR) == "127.0.0.1:51000"


def test_a_port_outside_the_range_is_refused() -> None:
    with pytest.raises(ValidationError, match="base_port"):
        MeshSettings(base_port=70000)
