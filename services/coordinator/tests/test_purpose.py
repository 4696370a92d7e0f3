"""A conversation's purpose is told back as what it brought about."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.session.purpose import for_purpose, purpose_outcomes
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_routing.settings import BackendSettings
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.outcomes import Kind

pytestmark = pytest.mark.unit

Config = conversation_pb2.ConversationConfig

FOR_ALL = BackendSettings(target="127.0.0.1:1")
DICTATION = BackendSettings(target="127.0.0.1:2", purposes=("dictation",))
SPOKEN = stt_pb2.RecognitionConfig()


@pytest.fixture
async def services() -> AsyncGenerator[BackendRegistry]:
    made = BackendRegistry(CoordinatorSettings(stt_backends=(FOR_ALL, DICTATION)))
    yield made
    await made.close()


def kinds(services: BackendRegistry, config: conversation_pb2.ConversationConfig) -> list[Kind]:
    outcomes = purpose_outcomes(for_purpose(services, config), config)
    assert all(outcome.field == "config.purpose" for outcome in outcomes)
    assert all(bool(outcome.detail) == (outcome.kind is not Kind.APPLIED) for outcome in outcomes)
    return [outcome.kind for outcome in outcomes]


async def test_a_purpose_that_a_backend_is_for_is_applied(services: BackendRegistry) -> None:
    config = Config(recognition=SPOKEN, purpose="dictation")
    assert kinds(services, config) == [Kind.APPLIED]
    assert for_purpose(services, config).stt.candidates()[0].settings == DICTATION
    assert services.stt.candidates()[0].settings == FOR_ALL


async def test_a_purpose_that_no_backend_is_for_is_ignored_with_a_reason(services: BackendRegistry) -> None:
    assert kinds(services, Config(recognition=SPOKEN, purpose="support")) == [Kind.IGNORED]


async def test_a_backend_that_the_conversation_does_not_use_applies_nothing(services: BackendRegistry) -> None:
    assert kinds(services, Config(text_replies_only=True, purpose="dictation")) == [Kind.IGNORED]


async def test_nothing_is_told_where_nothing_was_asked(services: BackendRegistry) -> None:
    assert kinds(services, Config(recognition=SPOKEN)) == []


async def test_a_purpose_has_a_limit(services: BackendRegistry) -> None:
    with pytest.raises(InvalidArgument, match=r"config\.purpose"):
        for_purpose(services, Config(purpose="x" * 101))
