"""A reply's messages are held until they may be heard, and keep their order."""

import asyncio

import pytest

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.reply.playout_gate import MAX_HELD_S, PlayoutGate, Text
from voxmesh_coordinator.reply.user_turn import UserTurn

pytestmark = pytest.mark.unit

Response = conversation_pb2.ConverseResponse


class Client:
    """Collects what is sent."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.ready = 0
        self.is_reading = asyncio.Event()
        self.is_reading.set()

    def send(self, response: Response) -> None:
        self.texts.append(response.reply_text.delta)

    async def writable(self) -> None:
        await self.is_reading.wait()

    def on_ready(self) -> None:
        self.ready += 1

    def gate(self, *, is_open: bool) -> PlayoutGate:
        gate = PlayoutGate(self.send, self.writable, self.on_ready)
        if is_open:
            gate.open()
        return gate


def text(delta: str) -> Response:
    return Response(reply_text=conversation_pb2.ReplyText(delta=delta))


async def test_an_open_outbox_sends_at_once() -> None:
    client = Client()
    gate = client.gate(is_open=True)
    await gate.put(lambda: text("a"))
    assert client.texts == ["a"]


async def test_what_is_held_comes_first_when_it_opens() -> None:
    client = Client()
    gate = client.gate(is_open=False)
    await gate.put(lambda: text("a"))
    await gate.put(lambda: text("b"))
    assert client.texts == []
    gate.open()
    await gate.put(lambda: text("c"))
    assert client.texts == ["a", "b", "c"]


async def test_pieces_of_text_that_are_held_in_a_row_become_one() -> None:
    client, turn = Client(), UserTurn("")
    gate = client.gate(is_open=False)
    for piece in ("a", "b"):
        await gate.put(Text(turn, piece))
    await gate.put(lambda: text("-"))
    for piece in ("c", "d"):
        await gate.put(Text(turn, piece))
    gate.open()
    await gate.put(Text(turn, "e"))
    await gate.put(Text(turn, "f"))
    assert client.texts == ["ab", "-", "cd", "e", "f"]


async def test_messages_are_made_when_they_are_sent() -> None:
    client, number = Client(), 1
    gate = client.gate(is_open=False)
    await gate.put(lambda: text(str(number)))
    number = 2
    gate.open()
    assert client.texts == ["2"]


async def test_it_can_be_held_again_and_goes_on_where_it_stopped() -> None:
    client = Client()
    gate = client.gate(is_open=True)
    await gate.put(lambda: text("a"))
    gate.hold()
    await gate.put(lambda: text("b"))
    assert client.texts == ["a"]
    gate.open()
    await gate.put(lambda: text("c"))
    assert client.texts == ["a", "b", "c"]


async def test_the_first_audio_makes_it_ready_and_only_once() -> None:
    client = Client()
    gate = client.gate(is_open=False)
    await gate.put(lambda: text("a"))
    assert (gate.is_ready, client.ready) == (False, 0)
    await gate.put(lambda: text("b"), audio_s=0.1)
    await gate.put(lambda: text("c"), audio_s=0.1)
    assert (gate.is_ready, client.ready) == (True, 1)


async def test_too_much_held_audio_holds_back_the_one_who_makes_it() -> None:
    client = Client()
    gate = client.gate(is_open=False)
    await gate.put(lambda: text("a"), audio_s=MAX_HELD_S)
    waiting = asyncio.create_task(gate.put(lambda: text("b"), audio_s=0.1))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    gate.open()
    await waiting
    assert client.texts == ["a", "b"]


async def test_what_cannot_be_taken_back_waits_and_says_so() -> None:
    client = Client()
    gate = client.gate(is_open=False)
    waiting = asyncio.create_task(gate.wait_open())
    await asyncio.sleep(0.01)
    assert (waiting.done(), client.ready) == (False, 1)
    gate.open()
    await waiting


async def test_a_client_that_reads_nothing_holds_back_the_one_who_makes_it() -> None:
    client = Client()
    gate = client.gate(is_open=True)
    client.is_reading.clear()
    waiting = asyncio.create_task(gate.put(lambda: text("a"), audio_s=0.1))
    await asyncio.sleep(0.01)
    assert (waiting.done(), client.texts) == (False, [])
    client.is_reading.set()
    await waiting
    assert client.texts == ["a"]


async def test_what_waited_for_a_client_that_reads_is_held_if_somebody_spoke_meanwhile() -> None:
    client = Client()
    gate = client.gate(is_open=True)
    client.is_reading.clear()
    waiting = asyncio.create_task(gate.put(lambda: text("a")))
    await asyncio.sleep(0.01)
    gate.hold()
    client.is_reading.set()
    await waiting
    assert client.texts == []
    gate.open()
    assert client.texts == ["a"]


async def test_nothing_leaves_it_once_it_is_closed() -> None:
    client = Client()
    gate = client.gate(is_open=True)
    gate.close()
    await gate.put(lambda: text("a"), audio_s=0.1)
    assert client.texts == []
