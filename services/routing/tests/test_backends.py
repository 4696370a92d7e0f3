"""Which backend of a slot is asked first, and when one is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from pydantic import ValidationError

from voxmesh_routing.backends import ENOUGH, FIRST_PATIENCE_S, LEAST_PATIENCE_S, Slot
from voxmesh_routing.settings import BackendSettings
from voxmesh_routing.status import SlotStatus
from voxmesh_runtime.server import running
from voxmesh_testing.toy import ToyService, ToySettings

pytestmark = pytest.mark.unit

ENGLISH = BackendSettings(target="127.0.0.1:1", languages=("en",))
INDIC = BackendSettings(target="127.0.0.1:2", languages=("kn", "hi"))
ANY = BackendSettings(target="127.0.0.1:3", mixed_languages=True)


@pytest.fixture
async def slot() -> AsyncGenerator[Slot]:
    made = Slot("stt", [ENGLISH, INDIC, ANY])
    yield made
    await made.close()


def order(slot: Slot, *languages: str) -> list[BackendSettings]:
    return [backend.settings for backend in slot.candidates(languages)]


async def test_the_operators_order_holds_where_nothing_else_is_known(slot: Slot) -> None:
    assert order(slot) == [ENGLISH, INDIC, ANY]


async def test_a_language_is_sent_to_those_that_take_it(slot: Slot) -> None:
    assert order(slot, "kn-IN") == [INDIC, ANY, ENGLISH]
    assert order(slot, "en-GB") == [ENGLISH, ANY, INDIC]
    assert order(slot, "fr") == [ANY, ENGLISH, INDIC]


async def test_c16_a_language_is_known_however_the_operator_or_the_caller_writes_it() -> None:
    hebrew = BackendSettings(target="127.0.0.1:4", languages=("iw", "nb_NO"))
    slot = Slot("stt", [ENGLISH, hebrew])
    assert hebrew.languages == ("he", "nb-NO")
    assert all(order(slot, tag)[0] == hebrew for tag in ("he-IL", "iw_IL.UTF-8", "no"))
    assert order(slot, "en_US")[0] == ENGLISH
    await slot.close()


async def test_mixed_languages_are_sent_to_the_one_that_says_it_can(slot: Slot) -> None:
    assert order(slot, "kn", "en")[0] == ANY
    assert order(slot, "kn", "hi")[0] == ANY


async def test_one_that_failed_comes_after_its_equals_but_before_those_that_lack_the_language(slot: Slot) -> None:
    slot.backends[1].failed("it broke")
    assert order(slot, "kn") == [ANY, INDIC, ENGLISH]
    slot.backends[2].failed("it broke too")
    assert order(slot, "kn") == [INDIC, ANY, ENGLISH]


SUPPORT = BackendSettings(target="127.0.0.1:1", purposes=("support", "sales"))
FOR_ALL = BackendSettings(target="127.0.0.1:2")
DICTATION = BackendSettings(target="127.0.0.1:3", languages=("en",), purposes=("dictation",))


@pytest.fixture
async def purposes() -> AsyncGenerator[Slot]:
    made = Slot("stt", [SUPPORT, FOR_ALL, DICTATION])
    yield made
    await made.close()


async def test_a_purpose_goes_to_those_named_for_it_then_to_those_for_all(purposes: Slot) -> None:
    assert order(purposes.for_purpose("dictation"), "en") == [DICTATION, FOR_ALL, SUPPORT]
    assert order(purposes.for_purpose("sales"), "en") == [SUPPORT, FOR_ALL, DICTATION]


@pytest.mark.parametrize("purpose", ["", "a purpose that nobody named"])
async def test_without_a_purpose_that_is_known_those_for_all_come_first(purposes: Slot, purpose: str) -> None:
    assert order(purposes.for_purpose(purpose)) == [FOR_ALL, SUPPORT, DICTATION]
    assert not purposes.for_purpose(purpose).has_purpose


async def test_the_language_counts_more_than_the_purpose(purposes: Slot) -> None:
    assert order(purposes.for_purpose("dictation"), "kn") == [FOR_ALL, SUPPORT, DICTATION]


async def test_health_counts_more_than_the_purpose_and_is_known_to_all_purposes(purposes: Slot) -> None:
    support = purposes.for_purpose("support")
    purposes.backends[0].failed("it broke")
    assert order(support, "en") == [FOR_ALL, DICTATION, SUPPORT]
    purposes.backends[1].failed("it broke too")
    assert order(support, "en") == [DICTATION, SUPPORT, FOR_ALL]


def test_a_purpose_without_a_name_is_refused() -> None:
    with pytest.raises(ValidationError, match="purposes"):
        BackendSettings(target="a:1", purposes=("",))


async def test_patience_comes_from_a_backends_own_history(slot: Slot) -> None:
    backend = slot.backends[0]
    for _ in range(ENOUGH - 1):
        backend.answered(1.0)
    assert backend.patience_s == FIRST_PATIENCE_S
    backend.answered(30.0)
    assert backend.patience_s == pytest.approx(5.0)
    for _ in range(20):
        backend.answered(0.01)
    assert backend.patience_s == LEAST_PATIENCE_S


async def test_one_that_answers_for_its_health_again_is_well_again() -> None:
    settings = ToySettings()
    async with running(ToyService(settings), settings) as server:
        slot = Slot("embed", [BackendSettings(target=f"127.0.0.1:{server.port}")])
        (backend,) = slot.backends
        told: list[bool] = []
        slot.for_purpose("support").listeners.add(lambda: told.append(backend.is_well))
        backend.failed("a hiccup")
        assert not backend.is_well
        assert slot.is_down
        async with asyncio.timeout(10):
            while not backend.is_well:  # noqa: ASYNC110 # nobody else waits for it
                await asyncio.sleep(0.05)
        await slot.close()
    assert told == [True]


async def test_one_that_takes_a_stream_is_well_without_a_question(slot: Slot) -> None:
    backend = slot.backends[0]
    backend.failed("a hiccup")
    assert (backend.known.is_well, backend.known.reason) == (False, "a hiccup")
    backend.opened()
    assert (backend.known.is_well, backend.known.reason) == (True, "")


async def test_c15_a_slot_is_as_its_backends_say_just_now_whatever_was_known_of_them() -> None:
    settings = ToySettings()
    service = ToyService(settings)
    async with running(service, settings) as server:
        slot = Slot("tts", [BackendSettings(target=f"127.0.0.1:{server.port}"), BackendSettings(target="127.0.0.1:9")])
        slot.backends[0].failed("a hiccup")
        status = await slot.look()
        await slot.close()
    assert [backend.is_well for backend in status.backends] == [True, False]
    assert status.state == SlotStatus.STATE_DEGRADED
    assert "is it running" in status.reason
