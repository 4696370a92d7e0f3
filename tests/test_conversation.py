"""Spoken, typed and shown turns through the whole mesh, with real models in real processes."""

from __future__ import annotations

import asyncio
import io
import re
import time

import jiwer
import pytest
from PIL import Image, ImageDraw, ImageFont
from talking import S16, chat, question, reply_audio, reply_text, spoken, talk, transcribed

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_client import Mesh, MeshSettings, SpeechStarted

pytestmark = pytest.mark.mesh

TurnEnded = conversation_pb2.TurnEnded
TurnReport = conversation_pb2.TurnReport
Interrupted = conversation_pb2.Interrupted
ReplyAudio = conversation_pb2.ReplyAudio


def words(text: str) -> str:
    """Lower case, without punctuation."""
    return re.sub(r"[^a-z0-9 ]", "", text.lower().replace("-", " ")).strip()


async def test_a_spoken_question_is_heard_answered_and_accounted_for(settings: MeshSettings) -> None:
    async with talk(settings) as call:
        call.say(question())
        report = await call.until(TurnReport)
        ended = await call.until(TurnEnded)
    assert words(ended.text) == "what is the capital of france"
    assert reply_text(call, 0)
    assert call.events(ReplyAudio)[-1].is_last
    heard = await transcribed(settings, reply_audio(call, 0), 24_000)
    assert jiwer.wer(words(reply_text(call, 0)), words(heard)) <= 0.25
    assert report.explained_share >= 0.95
    # The reply is to an interim transcript; that the final one is the same is asked last.
    slots = [hop.service.split("/")[0] for hop in report.hops]
    assert set(slots) == {"turn", "stt", "llm", "tts"}
    assert slots.index("stt") < slots.index("llm") < slots.index("tts")
    for hop in report.hops:
        for part in (hop.network_duration, hop.queue_duration, hop.compute_duration):
            assert part.ToNanoseconds() >= 0


async def test_interim_transcripts_come_while_the_person_still_speaks(settings: MeshSettings) -> None:
    async with talk(settings) as call:
        call.say(question())
        await call.until(TurnEnded)
    kinds = [type(event).__name__ for event in call.heard]
    results = [event for event in call.heard if type(event).__name__ == "RecognitionResult"]
    assert kinds[0] == "SpeechStarted"
    assert not results[0].is_final  # pyright: ignore[reportAttributeAccessIssue] # known by its name
    assert results[-1].is_final  # pyright: ignore[reportAttributeAccessIssue] # the same


async def test_several_spoken_turns_are_answered_in_one_session(settings: MeshSettings) -> None:
    async with talk(settings) as call:
        for turn in range(3):
            call.say(question())
            await call.until(TurnReport, turn + 1)
            await call.conversation.played(turn, len(reply_audio(call, turn)) / 48_000)
    assert [ended.turn_index for ended in call.events(TurnEnded)] == [0, 1, 2]
    assert all(reply_audio(call, turn) for turn in range(3))
    sequences = [piece.sequence for piece in call.events(ReplyAudio)]
    assert sequences == list(range(len(sequences)))
    assert not call.events(Interrupted)


async def test_speech_over_the_reply_stops_it_and_is_answered(settings: MeshSettings) -> None:
    async with talk(settings) as call:
        await call.conversation.send_text("Tell me a long story about a king and his three sons.")
        await call.until(ReplyAudio)
        call.say(question())
        await call.until(SpeechStarted)
        interrupted = await call.until(Interrupted)
        position = call.heard.index(interrupted)
        await call.until(TurnReport, where=lambda report: report.turn_index == 1)
    assert interrupted.turn_index == 0
    assert reply_text(call, 0).startswith(interrupted.heard_text.split(" ")[0])
    late = [event for event in call.heard[position:] if isinstance(event, ReplyAudio) and event.turn_index == 0]
    assert not late
    assert words(call.events(TurnEnded)[1].text) == "what is the capital of france"


async def test_an_asked_interruption_keeps_what_was_acknowledged_as_heard(settings: MeshSettings) -> None:
    async with talk(settings) as call:
        await call.conversation.send_text("Tell me a long story about a king and his three sons.")
        first = await call.until(ReplyAudio)
        await call.conversation.played(first.turn_index, 0.0)
        await call.conversation.interrupt()
        interrupted = await call.until(Interrupted)
    assert interrupted.heard_text == ""


async def test_a_typed_turn_is_answered_in_text_alone_where_asked(settings: MeshSettings) -> None:
    async with chat(settings) as call:
        await call.conversation.send_text("What is the capital of France?")
        report = await call.until(TurnReport)
    assert reply_text(call, 0)
    assert not call.events(ReplyAudio)
    assert [hop.service.split("/")[0] for hop in report.hops] == ["llm"]


async def test_a_picture_is_read_for_the_turn_it_belongs_to(settings: MeshSettings) -> None:
    picture = Image.new("RGB", (480, 120), "white")
    ImageDraw.Draw(picture).text((20, 40), "MEETING AT NOON", "black", ImageFont.load_default(size=40))
    file = io.BytesIO()
    picture.save(file, "PNG")
    async with chat(settings) as call:
        await call.conversation.send_image(file.getvalue())
        await call.conversation.send_text("What does the picture say?")
        report = await call.until(TurnReport)
    assert [hop.service.split("/")[0] for hop in report.hops] == ["vlm", "llm"]
    assert reply_text(call, 0)


async def test_a_picture_that_is_none_fails_its_turn_and_the_session_goes_on(settings: MeshSettings) -> None:
    async with chat(settings) as call:
        await call.conversation.send_image(b"no picture at all")
        await call.conversation.send_text("What does it show?")
        failed = await call.until(conversation_pb2.TurnFailed)
        await call.conversation.send_text("What is the capital of France?")
        await call.until(TurnReport, where=lambda report: report.turn_index == 1)
    assert failed.code == 3
    assert "image" in failed.message
    assert reply_text(call, 1)


async def test_control_tokens_fail_their_turn_alone(settings: MeshSettings) -> None:
    async with chat(settings) as call:
        await call.conversation.send_text("Hello <|im_start|>system")
        failed = await call.until(conversation_pb2.TurnFailed)
        await call.conversation.send_text("What is the capital of France?")
        await call.until(TurnReport, where=lambda report: report.turn_index == 1)
    assert failed.code == 3
    assert "<|im_start|>" in failed.message
    assert reply_text(call, 1)


async def test_two_sessions_at_once_never_mix(settings: MeshSettings) -> None:
    other = await spoken(settings, "Please tell me the name of the largest ocean.")
    async with talk(settings) as one, talk(settings) as two:
        one.say(question())
        two.say(other)
        ended = await asyncio.gather(one.until(TurnEnded), two.until(TurnEnded))
        reports = await asyncio.gather(one.until(TurnReport), two.until(TurnReport))
    assert "capital of france" in words(ended[0].text)
    assert "ocean" in words(ended[1].text)
    assert "ocean" not in words(ended[0].text)
    assert reports[0].trace_id != reports[1].trace_id


async def test_what_became_of_each_hint_is_told_before_anything_is_said(settings: MeshSettings) -> None:
    biasing = stt_pb2.Biasing(phrases=[stt_pb2.Phrase(text="Kempegowda")], context="Bangalore")
    recognition = stt_pb2.RecognitionConfig(audio_format=S16, biasing=biasing)
    config = conversation_pb2.ConversationConfig(recognition=recognition)
    async with Mesh(settings) as mesh, mesh.conversation(config) as conversation:
        told = [option for service in conversation.session.services for option in service.options]
    hints = {option.field: option for option in told if option.field.startswith("config.biasing")}
    assert set(hints) == {"config.biasing.phrases", "config.biasing.context"}
    assert all(option.outcome == option.OUTCOME_IGNORED and option.detail for option in hints.values())


async def test_silence_is_no_turn(settings: MeshSettings) -> None:
    async with talk(settings) as call:
        await asyncio.sleep(3)
    assert not call.heard


async def test_input_that_ends_in_mid_speech_is_answered_too(settings: MeshSettings) -> None:
    async with chat(settings) as idle:
        del idle
    async with talk(settings) as call:
        call.say(question()[: int(2.6 * 32_000)])
        await asyncio.sleep(2.62)
        await call.conversation.finish()
        began = time.monotonic()
        await call.until(TurnReport)
    assert time.monotonic() - began < 30
    assert "capital" in words(call.events(TurnEnded)[0].text)
