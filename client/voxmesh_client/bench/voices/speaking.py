"""One text through one stream of a voice: its audio, and when which of it came."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import numpy as np

from voxmesh.tts.v1 import tts_pb2
from voxmesh_client.bench.listening import TimedWord
from voxmesh_client.bench.voices.soundness import Finding, Sound
from voxmesh_client.bench.voices.text_file import Line
from voxmesh_client.errors import MeshError
from voxmesh_client.limits import text_pieces
from voxmesh_client.sound import samples_of
from voxmesh_client.text_to_speech import Request, Response, TextToSpeech
from voxmesh_runtime.audio import Samples
from voxmesh_runtime.clock import seconds_of

_PATIENCE_S = 120.0
_PATIENCE_LETTER_S = 2.0
"""A text may take this long for each letter, and `_PATIENCE_S` more; then it has failed."""


@dataclass(slots=True, eq=False)
class Spoken:
    """What became of a text; times in seconds from the moment it was sent whole, on a stream that was open."""

    line: Line
    samples: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    rate_hertz: int = 0
    first_audio_s: float | None = None
    """Until the first piece of audio came."""
    stalled_s: float = 0.0
    """How long playback that begins with the first piece stands still in all, because audio comes late."""
    taken_s: float = 0.0
    """Until the segment was finished."""
    told_s: float | None = None
    """Length of the audio as the service tells it."""
    queued_s: float = 0.0
    """Of the time taken, what the service says it waited for a free place."""
    words: list[TimedWord] = field(default_factory=list[TimedWord])
    findings: list[Finding] = field(default_factory=list[Finding])
    failure: str = ""
    """Why it failed; empty when it did not."""

    @property
    def audio_s(self) -> float:
        """Length of the audio that came."""
        return len(self.samples) / self.rate_hertz if self.rate_hertz else 0.0

    @property
    def first_sound_s(self) -> float | None:
        """Until something is heard by who plays the audio as it comes; None of silence."""
        if self.first_audio_s is None:
            return None
        sound = Sound.of(self.samples, self.rate_hertz)
        return None if sound.is_silent else self.first_audio_s + sound.lead_s


async def speak(service: TextToSpeech, line: Line, config: tts_pb2.SynthesisConfig) -> Spoken:
    """Have a text spoken on a stream of its own; a failure is told in the result.

    Args:
        service: the voice.
        line: the text.
        config: how; its audio format must be unset, so that nothing resamples or encodes the model's audio.
    """
    spoken = Spoken(line)
    pieces: list[bytes] = []
    timeout_s = _PATIENCE_S + _PATIENCE_LETTER_S * line.letters
    try:
        async with service.open(config, timeout_s) as stream:
            began = time.monotonic()
            async for kind, response in stream.exchange(_requests(line.text)):
                _take(spoken, pieces, kind, response, time.monotonic() - began)
    except MeshError as error:
        spoken.failure = str(error)
    spoken.samples = samples_of(b"".join(pieces))
    if not spoken.failure and spoken.told_s is None:
        spoken.failure = "the stream ended without a finished segment"
    return spoken


def _take(spoken: Spoken, pieces: list[bytes], kind: str, response: Response, at_s: float) -> None:
    match kind:
        case "segment_started":
            spoken.rate_hertz = response.segment_started.audio_format.sample_rate_hertz
        case "audio":
            if spoken.first_audio_s is None:
                spoken.first_audio_s = at_s
            due_s = spoken.first_audio_s + sum(map(len, pieces)) / 2 / spoken.rate_hertz
            spoken.stalled_s = max(spoken.stalled_s, at_s - due_s)
            pieces.append(response.audio.data)
        case "word_timing":
            spoken.words.append(TimedWord.of(response.word_timing))
        case "segment_finished":
            finished = response.segment_finished
            spoken.taken_s, spoken.told_s = at_s, seconds_of(finished.audio_duration)
            spoken.queued_s = seconds_of(finished.timing.queue_duration)
        case _:
            pass


async def _requests(text: str) -> AsyncGenerator[Request]:
    for piece in text_pieces(text):
        yield Request(text=tts_pb2.SegmentText(text=piece))
    yield Request(end_of_segment=tts_pb2.EndOfSegment())
