"""A client that is not ours, grpcurl, finds its way by reflection alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from voxmesh_client import MeshSettings
from voxmesh_client.slots import SLOTS, Slot

pytestmark = pytest.mark.mesh


def grpcurl(target: str, *words: str, data: str | None = None) -> str:
    """What grpcurl prints."""
    options = ["-d", "@"] if data is not None else []
    command = [str(Path(sys.executable).parent / "grpcurl"), "-plaintext", "-max-time", "20", *options, target, *words]
    done = subprocess.run(command, input=data, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def messages(text: str) -> list[dict[str, Any]]:
    """The JSON objects of a stream's answers."""
    found: list[dict[str, Any]] = []
    decoder, rest = json.JSONDecoder(), text.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].lstrip()
    return found


@pytest.mark.parametrize("slot", SLOTS, ids=[slot.name for slot in SLOTS])
def test_every_service_answers_health_and_reflection(settings: MeshSettings, slot: Slot) -> None:
    target = settings.target(slot)
    listed = grpcurl(target, "list").split()
    own = [name for name in listed if name.startswith("voxmesh.")]
    assert len(own) == 1
    assert "SERVING" in grpcurl(target, "grpc.health.v1.Health/Check")
    assert "rpc " in grpcurl(target, "describe", own[0])


def test_a_foreign_client_holds_a_stream(settings: MeshSettings) -> None:
    target = f"127.0.0.1:{settings.base_port + 4}"
    config = {"sampling": {"temperature": 0, "max_output_tokens": 12}}
    generate = {"messages": [{"role": "ROLE_USER", "text": "What is the capital of France?"}]}
    requests = "\n".join(map(json.dumps, [{"config": config}, {"generate": generate}]))
    answers = messages(grpcurl(target, "voxmesh.llm.v1.LanguageModelService/StreamingGenerate", data=requests))
    assert "ready" in answers[0]
    assert "finished" in answers[-1]
    assert any("text_delta" in answer or "textDelta" in answer for answer in answers)
