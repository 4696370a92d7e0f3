"""One clip through one stream of a recogniser, and when it said what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from voxmesh.common.v1 import common_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_client.bench.clip import Clip
from voxmesh_client.bench.interims import Shown
from voxmesh_client.errors import MeshError
from voxmesh_client.sound import pcm
from voxmesh_client.speech_to_text import Request, SpeechToText
from voxmesh_runtime.audio import Encoder, Samples
from voxmesh_runtime.clock import seconds_of

_PATIENCE_S = 60.0
_PATIENCE_RATIO = 20.0
"""A stream may take this many times the length of its audio, and `_PATIENCE_S` more."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How audio is given to a recogniser."""

    real_time: bool = False
    """At the pace of a microphone; else as fast as the service takes it."""
    chunk_s: float = 0.1
    interim_results: bool = False
    send_language: bool = True
    """Tell the service the clip's language; else it detects."""
    word_time_offsets: bool = False
    """Ask where each word lies."""


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word and where it lies, from the beginning of the audio."""

    text: str
    start_s: float
    end_s: float

    @classmethod
    def of(cls, word: stt_pb2.Word | tts_pb2.WordTiming) -> TimedWord:
        """A word as a service tells it."""
        return cls(word.text, seconds_of(word.start_offset), seconds_of(word.end_offset))


@dataclass(slots=True)
class Heard:
    """What became of a clip; times in seconds."""

    clip: Clip
    taken_s: float = 0.0
    """From the first piece of audio sent to the last answer."""
    final_delay_s: float | None = None
    """From the end of the audio to the final result; None when the audio was not at the pace of a microphone."""
    first_interim_s: float | None = None
    """From the beginning of the audio to the first interim result that has words."""
    results: list[Shown] = field(default_factory=list[Shown])
    words: list[TimedWord] = field(default_factory=list[TimedWord])
    """Of final results, where they were asked for and are known."""
    outcomes: Sequence[common_pb2.OptionOutcome] = ()
    """What `ready` told of each option."""
    failure: str = ""
    """Why it failed; empty when it did not."""

    @property
    def text(self) -> str:
        """All final transcripts; of a clip that failed, nothing."""
        texts = (shown.transcript for shown in self.results if shown.is_final)
        return "" if self.failure else " ".join(text for text in texts if text)


class _Clock:
    """Times of one stream, from when the audio virtually began."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def now_s(self) -> float:
        return time.monotonic() - self._began

    async def until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - self.now_s))


async def listen(
    service: SpeechToText,
    clip: Clip,
    audio: tuple[Samples, int],
    manner: Manner,
    biasing: stt_pb2.Biasing | None = None,
) -> Heard:
    """Send a clip, finalize, and take all answers; a failure is told in the result.

    Args:
        service: the recogniser.
        clip: what `audio` is.
        audio: mono samples in [-1, 1] and their rate in hertz.
        manner: how to send it.
        biasing: what to listen for.
    """
    samples, rate_hertz = audio
    duration_s = len(samples) / rate_hertz
    heard = Heard(clip)
    try:
        config = _config(clip, rate_hertz, manner, biasing)
        async with service.open(config, _PATIENCE_S + _PATIENCE_RATIO * duration_s) as stream:
            heard.outcomes = tuple(stream.first.ready.options) if stream.first is not None else ()
            clock = _Clock()
            async for kind, response in stream.exchange(_requests(samples, rate_hertz, manner, clock)):
                if kind == "result":
                    heard.results.append(_shown(response.result, clock.now_s))
                    heard.words += map(TimedWord.of, response.result.words)
        _take_times(heard, clock.now_s, duration_s if manner.real_time else None)
    except MeshError as error:
        heard.failure = str(error)
    return heard


def _config(clip: Clip, rate_hertz: int, manner: Manner, biasing: stt_pb2.Biasing | None) -> stt_pb2.RecognitionConfig:
    return stt_pb2.RecognitionConfig(
        audio_format=pcm(rate_hertz).to_proto(),
        language_codes=[clip.language] if manner.send_language and clip.language else [],
        interim_results=manner.interim_results,
        word_time_offsets=manner.word_time_offsets,
        biasing=biasing,
    )


async def _requests(samples: Samples, rate_hertz: int, manner: Manner, clock: _Clock) -> AsyncGenerator[Request]:
    """Pieces of audio, each once it would have been recorded if it is real time; then finalize."""
    encoder = Encoder(pcm(rate_hertz))
    size = max(1, round(manner.chunk_s * rate_hertz))
    for begin in range(0, len(samples), size):
        piece = samples[begin : begin + size]
        if manner.real_time:
            await clock.until((begin + len(piece)) / rate_hertz)
        yield Request(audio=encoder.encode(piece))
    yield Request(finalize=stt_pb2.Finalize())


def _shown(result: stt_pb2.RecognitionResult, at_s: float) -> Shown:
    count = result.stable_character_count
    return Shown(at_s, result.utterance_index, result.transcript, result.is_final, count)


def _take_times(heard: Heard, taken_s: float, duration_s: float | None) -> None:
    """Set the times; `duration_s` is None when the audio was not in real time."""
    heard.taken_s = taken_s
    if not any(shown.is_final for shown in heard.results):
        heard.failure = "the stream ended without a final result"
    elif duration_s is not None:
        interims = (shown.at_s for shown in heard.results if not shown.is_final and shown.transcript.strip())
        heard.first_interim_s = next(interims, None)
        # Against the moment the audio ended, not when the last of it could be sent: a service
        # that holds the sender back makes its caller wait too.
        heard.final_delay_s = max(shown.at_s for shown in heard.results if shown.is_final) - duration_s
