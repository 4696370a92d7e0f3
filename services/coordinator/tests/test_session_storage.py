"""A store that is slow costs a conversation nothing but what must be kept before it is told."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass

import pytest

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_testing.virtual.llm import says
from voxmesh_testing.virtual.speech import say
from voxmesh_testing.virtual.stage import mesh

pytestmark = pytest.mark.virtual

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
ReplyAudio = conversation_pb2.ReplyAudio
ReplyText = conversation_pb2.ReplyText
Interrupted = conversation_pb2.Interrupted
Duck = conversation_pb2.Duck

STORY = ("Once upon a time there was a king. ", *["He had three sons and they all went away. "] * 12)


@dataclass(frozen=True, slots=True)
class Moments:
    """When things came to the client, in seconds after the person began to speak."""

    interims: list[float]
    turn_ended: float
    tokens: list[float]
    first_audio: float
    ducked: float
    interrupted: float


async def held(write_s: float) -> Moments:
    """A question, its answer, and a question over that, with a store that takes so long for a write, in seconds."""
    async with mesh("one", "two") as there, there.talk(plays=True) as call:
        assert there.store is not None
        there.store.write_s = write_s
        there.llm.play(says(*STORY, gap_s=0.1), says("It is Paris."))
        began_at = asyncio.get_running_loop().time()
        call.say(say("Please tell me a very long story."))
        first_audio = await call.until(ReplyAudio)
        await asyncio.sleep(4)
        call.say(say("What is the capital of France?"))
        interrupted = await call.until(Interrupted)
        await call.until(TurnReport, 2)
    (_, second) = call.events(TurnEnded)
    assert second.text == "What is the capital of France?"
    assert call.reply_text(1) == "It is Paris."
    at = {id(event): moment - began_at for event, moment in zip(call.heard, call.times, strict=True)}
    return Moments(
        [at[id(event)] for event in call.heard if type(event).__name__ == "RecognitionResult"],
        at[id(call.events(TurnEnded)[0])],
        [at[id(event)] for event in call.events(ReplyText) if event.turn_index == 0],
        at[id(first_audio)],
        at[id(call.events(Duck)[0])],
        at[id(interrupted)],
    )


def assert_alike(one: Moments, other: Moments, within_s: float) -> None:
    """Everything came at the same moments."""
    for name, moments in asdict(one).items():
        assert getattr(other, name) == pytest.approx(moments, abs=within_s), name


async def test_a_store_that_takes_a_second_per_write_delays_no_word_no_audio_and_no_interruption() -> None:
    assert_alike(await held(0.0), await held(1.0), within_s=0.02)


@pytest.mark.parametrize("write_s", [0.0, 0.05])
async def test_the_moments_of_a_conversation_are_the_same_in_every_run(write_s: float) -> None:
    assert_alike(await held(write_s), await held(write_s), within_s=0.00001)
