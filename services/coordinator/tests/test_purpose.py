"""A conversation's purpose is told back as what it brought about."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_routing.settings import BackendSettings
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.outcomes import Kind

pytestmark = pytest.mark.unit

FOR_ALL = BackendSettings(target="127.0.0.1:1")
DICTATION = BackendSettings(target="127.0.0.1:2", purposes=("dictation",))
SPOKEN = {"turn", "stt", "llm", "vlm", "tts"}
TYPED = {"llm", "vlm"}


@pytest.fixture
async def services() -> AsyncGenerator[BackendRegistry]:
    made = BackendRegistry(CoordinatorSettings(stt_backends=(FOR_ALL, DICTATION)))
    yield made
    await made.close()


def kinds(services: BackendRegistry, purpose: str, used: set[str]) -> list[Kind]:
    outcomes = services.for_purpose(purpose).purpose_outcomes(used)
    assert all(outcome.field == "config.purpose" for outcome in outcomes)
    assert all(bool(outcome.detail) == (outcome.kind is not Kind.APPLIED) for outcome in outcomes)
    return [outcome.kind for outcome in outcomes]


async def test_a_purpose_that_a_backend_is_for_is_applied(services: BackendRegistry) -> None:
    assert kinds(services, "dictation", SPOKEN) == [Kind.APPLIED]
    assert services.for_purpose("dictation").stt.candidates()[0].settings == DICTATION
    assert services.stt.candidates()[0].settings == FOR_ALL


async def test_a_purpose_that_no_backend_is_for_is_ignored_with_a_reason(services: BackendRegistry) -> None:
    assert kinds(services, "support", SPOKEN) == [Kind.IGNORED]


async def test_a_backend_that_the_conversation_does_not_use_applies_nothing(services: BackendRegistry) -> None:
    assert kinds(services, "dictation", TYPED) == [Kind.IGNORED]


async def test_nothing_is_told_where_nothing_was_asked(services: BackendRegistry) -> None:
    assert kinds(services, "", SPOKEN) == []


async def test_a_purpose_has_a_limit(services: BackendRegistry) -> None:
    with pytest.raises(InvalidArgument, match=r"config\.purpose"):
        services.for_purpose("x" * 101)
