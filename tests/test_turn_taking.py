"""Taking and giving the turn with real models; every rule of it is tested in virtual time, beside the coordinator."""

from __future__ import annotations

import numpy as np
import pytest
from talking import RATE_HERTZ, Talk, pcm, question, reply_audio, reply_text, spoken, talk
from test_coordinator import asked, says, scripted

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client import MeshSettings, SpeechStarted
from voxmesh_coordinator.turn.words import is_same_speech
from voxmesh_runtime.audio import Resampler, Samples
from voxmesh_testing.streams import wait_until

pytestmark = pytest.mark.mesh

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
Interrupted = conversation_pb2.Interrupted
ReplyAudio = conversation_pb2.ReplyAudio
Duck = conversation_pb2.Duck

REPLY_HERTZ = 24_000
SENTENCES = ("Once upon a time there was a king. ", *["He had three sons and they all went away. "] * 12)
STORY, SLOW_STORY = says(*SENTENCES, gap_s=0.1), says(*SENTENCES, gap_s=1.5)


def silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * RATE_HERTZ))


def echo(reply: bytes) -> bytes:
    """A reply of 24 kHz as the microphone hears it."""
    heard: Samples = np.frombuffer(reply, "<i2").astype(np.float32) / np.float32(65536)
    resampler = Resampler(REPLY_HERTZ, RATE_HERTZ)
    return pcm(np.concatenate([resampler.process(heard), resampler.flush()]))


async def begin_story(call: Talk) -> None:
    """Have the assistant speak."""
    await call.conversation.send_text("Tell me a story.")
    await call.until(ReplyAudio, 5)


async def test_a_pause_after_words_that_lead_to_more_does_not_end_the_turn(settings: MeshSettings) -> None:
    begun, rest = await spoken(settings, "Please remind me to call"), await spoken(settings, "my mother on Sunday.")
    # Only the words tell: both voices are calm, and each half is spoken as a sentence of its own.
    async with scripted(settings, says("Yes."), max_end_of_turn_wait_s=6) as (server, there), talk(there) as call:
        call.say(begun + silence(0.8) + rest)
        ended = await call.until(TurnEnded)
        await call.until(TurnReport)
    assert "sunday" in ended.text.lower()
    assert len(call.events(TurnEnded)) == 1
    assert is_same_speech(asked(server, -1)[-1]["content"], ended.text)


async def test_the_replys_own_echo_does_not_interrupt_it(settings: MeshSettings) -> None:
    async with scripted(settings, STORY) as (_, there), talk(there) as call:
        await begin_story(call)
        await call.until(ReplyAudio, 25)
        call.say(echo(reply_audio(call, 0)))
        await call.until(SpeechStarted)
        await call.until(Duck, 2)
    assert not call.events(Interrupted)


async def test_words_over_a_reply_take_the_turn(settings: MeshSettings) -> None:
    async with scripted(settings, SLOW_STORY, says("It is Paris.")) as (server, there), talk(there) as call:
        await begin_story(call)
        call.say(question())
        interrupted = await call.until(Interrupted)
        await wait_until(lambda: server.hang_ups == 1)
        await call.until(TurnReport, where=lambda report: report.turn_index == 1)
    assert interrupted.turn_index == 0
    assert reply_text(call, 1) == "It is Paris."
    roles = [message["role"] for message in asked(server, 1)]
    assert roles[-1] == "user"
    if interrupted.heard_text:
        assert asked(server, 1)[-2]["content"] == interrupted.heard_text
