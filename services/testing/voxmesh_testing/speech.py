"""Speech and engines for the conformance suite: clips as messages, and a model that is loaded once."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voxmesh.stt.v1 import stt_pb2
from voxmesh_runtime.audio import AudioFormat, Encoder, Encoding, Resampler, Samples

Request = stt_pb2.StreamingRecognizeRequest
Response = stt_pb2.StreamingRecognizeResponse

RATE_HERTZ = 16000
CHUNK_S = 0.02
FINALIZE = Request(finalize=stt_pb2.Finalize())
DISCARD = Request(discard=stt_pb2.Discard())

PLAIN = AudioFormat(Encoding.S16LE, RATE_HERTZ, 1)


@dataclass(frozen=True, slots=True)
class Clip:
    """A few seconds of speech at 16 kHz and its words, in lower case."""

    samples: Samples
    text: str


def audio(samples: Samples, chunk_s: float = CHUNK_S, audio_format: AudioFormat = PLAIN) -> list[Request]:
    """Speech at 16 kHz as messages of `chunk_s` in another format."""
    resampler = Resampler(RATE_HERTZ, audio_format.sample_rate_hertz)
    converted = np.concatenate([resampler.process(samples), resampler.flush()])
    data = Encoder(audio_format).encode(converted)
    size = max(1, round(chunk_s * audio_format.sample_rate_hertz)) * audio_format.bytes_per_frame
    return [Request(audio=data[begin : begin + size]) for begin in range(0, len(data), size)]


def finals(responses: Sequence[Response]) -> list[stt_pb2.RecognitionResult]:
    """The final results among a stream's answers."""
    return [response.result for response in responses if response.HasField("result") and response.result.is_final]


def likeness(transcript: str, text: str) -> float:
    """Share of `text`'s words that `transcript` has in the same order, 0 to 1."""
    heard = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in transcript.lower()).split()
    said = text.split()
    return _common_words(heard, said) / len(said)


def _common_words(heard: Sequence[str], said: Sequence[str]) -> int:
    """Length of the longest common subsequence; difflib's blocks are fewer where a text repeats itself."""
    common = [0] * (len(said) + 1)
    for word in heard:
        before = common
        common = [0]
        for index, wanted in enumerate(said):
            together = before[index] + 1 if word == wanted else 0
            common.append(max(together, before[index + 1], common[index]))
    return common[-1]
