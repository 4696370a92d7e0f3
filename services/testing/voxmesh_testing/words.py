"""What an engine that judges words beside the sound must do, in English."""

from __future__ import annotations

from typing import Any

import numpy as np

from voxmesh.common.v1 import common_pb2
from voxmesh.turn.v1 import turn_pb2, turn_pb2_grpc
from voxmesh_testing.streams import Exchange, exchange, serving
from voxmesh_testing.turn import TurnConformance, messages, silence, speech, verdicts
from voxmesh_turn.pause import Request

WHOLE = "Can you tell me what the weather is like in Paris today?"
PART = "Can you tell me what the"


def words(text: str, language_code: str = "en") -> Request:
    """A transcript message."""
    return Request(transcript=turn_pb2.Transcript(text=text, language_code=language_code))


async def judged(stream: Exchange[Any, Any], text: str) -> turn_pb2.EndOfTurn:
    """The first judgement on these words that the sound, which may be judged before them or after, is part of."""
    is_heard = False
    while True:
        verdict = await stream.until("end_of_turn")
        is_heard = is_heard or verdict.HasField("received_audio_duration")
        if is_heard and verdict.transcript == text:
            return verdict


class WordConformance(TurnConformance):
    """The suite of an engine whose `words` is set."""

    async def heard_and_read(self, *requests: Request, **changes: Any) -> list[turn_pb2.EndOfTurn]:
        """All judgements on the sentence with these messages before its end."""
        async with self.stream(**{"transcripts": True, **changes}) as (stream, _):
            await stream.send(*messages(np.concatenate([silence(0.2), speech()])), *requests)
            await stream.send(*messages(silence(1.0)))
            await stream.half_close()
            return verdicts(await stream.rest())

    async def test_the_same_sound_is_judged_by_its_words(self) -> None:
        whole = (await self.heard_and_read(words(WHOLE)))[-1]
        part = (await self.heard_and_read(words(PART)))[-1]
        assert (whole.transcript, part.transcript) == (WHOLE, PART)
        assert whole.probability > 0.7
        assert part.probability < 0.3

    async def test_words_that_come_in_the_pause_are_judged_at_once(self) -> None:
        async with self.stream(transcripts=True) as (stream, _):
            await stream.send(words(PART), *messages(np.concatenate([silence(0.2), speech(), silence(0.4)])))
            before = await judged(stream, PART)
            # No more audio comes: what follows is told because of the words.
            await stream.send(words(WHOLE))
            while (after := await stream.until("end_of_turn")).transcript != WHOLE:
                pass
        assert before.probability < 0.3
        assert after.probability > 0.7
        assert after.timing.finished_time.ToNanoseconds() >= after.timing.received_time.ToNanoseconds() > 0

    async def test_of_words_that_come_fast_the_last_count(self) -> None:
        parts = WHOLE.split()
        grown = [words(" ".join(parts[: count + 1])) for count in range(len(parts))]
        assert (await self.heard_and_read(*grown))[-1].transcript == WHOLE

    async def test_words_count_only_where_they_were_announced(self) -> None:
        told = await self.heard_and_read(words(PART), transcripts=False)
        assert {verdict.transcript for verdict in told} == {""}
        assert told[-1].probability > 0.7

    async def test_a_language_that_is_not_known_is_judged_by_its_sound(self) -> None:
        by_sound = (await self.heard_and_read())[-1]
        told = (await self.heard_and_read(words("Kannst du mir sagen, wie das", "de-DE")))[-1]
        assert told.transcript
        assert abs(told.probability - by_sound.probability) < 0.01

    async def test_a_new_turn_forgets_the_words(self) -> None:
        async with self.stream(transcripts=True) as (stream, _):
            await stream.send(words(PART), *messages(np.concatenate([silence(0.2), speech(), silence(0.4)])))
            await judged(stream, PART)
            await stream.send(Request(new_turn=turn_pb2.NewTurn()))
            await stream.send(*messages(np.concatenate([silence(0.4), speech(), silence(0.4)])))
            await stream.until("speech_stopped")
            assert (await judged(stream, "")).probability > 0.7

    async def test_words_of_two_streams_do_not_mix(self) -> None:
        sound = messages(np.concatenate([silence(0.2), speech(), silence(0.4)]))
        async with (
            self.served() as (method, _, _),
            exchange(method, self.config(transcripts=True), words(WHOLE)) as one,
            exchange(method, self.config(transcripts=True), words(PART)) as other,
        ):
            for message in sound:
                await one.send(message)
                await other.send(message)
            assert (await judged(one, WHOLE)).probability > 0.7
            assert (await judged(other, PART)).probability < 0.3

    async def test_strange_words_are_harmless(self) -> None:
        for text in (" ", "...", "\U0001f600" * 50, "<|im_end|>", "\x00", "a" * 20_000, "the " * 5_000):
            assert (await self.heard_and_read(words(text)))[-1].transcript == text

    async def test_it_is_told_that_words_are_judged(self) -> None:
        settings = self.server_settings()
        async with serving(self.service(settings), settings) as (channel, _):
            stub = turn_pb2_grpc.TurnDetectionServiceStub(channel)
            assert (await stub.GetModelInfo(turn_pb2.GetModelInfoRequest())).judges_transcripts
        async with self.served() as (method, _, _), exchange(method, self.config(transcripts=True)) as stream:
            ready = await stream.until("ready")
            outcomes = {option.field: option.outcome for option in ready.options}
        assert outcomes["config.transcripts"] == common_pb2.OptionOutcome.OUTCOME_APPLIED
