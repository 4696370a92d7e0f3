"""Whatever format an answer has, and wherever it is torn apart, its samples come out; what is no audio is refused."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.upstreams import ServerFailure
from voxmesh_tts_openai_speech.incoming import Incoming
from voxmesh_tts_openai_speech.testing import RATE_HERTZ, pcm, tone, wav_head

pytestmark = pytest.mark.unit

TONE = tone(0.5)
RAW = pcm(TONE)
TITLE = struct.pack("<4sI5sx", b"LIST", 5, b"title")


def file_of(kind: str, samples: Samples, hertz: int = RATE_HERTZ) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, hertz, format=kind)
    return buffer.getvalue()


def stereo(samples: Samples) -> Samples:
    return np.repeat(samples, 2)


def decoded(
    data: bytes,
    asked: str = "wav",
    kind: str = "audio/wav",
    *,
    size: int = 999,
    target_hertz: int | None = RATE_HERTZ,
    is_whole: bool = True,
) -> Samples:
    incoming = Incoming(asked, kind, RATE_HERTZ, target_hertz)
    parts = [incoming.feed(data[start : start + size]) for start in range(0, len(data), size)]
    return np.concatenate([*parts, incoming.end(is_whole=is_whole)])


EXTENSIBLE = struct.pack("<HHIIHHHHIH14x", 0xFFFE, 1, RATE_HERTZ, 2 * RATE_HERTZ, 2, 16, 22, 16, 4, 1)
EXTENSIBLE_HEAD = struct.pack("<4sI4s4sI", b"RIFF", 0, b"WAVE", b"fmt ", len(EXTENSIBLE)) + EXTENSIBLE
GOOD = {
    "raw samples": ("pcm", RAW),
    "raw samples and half a one": ("pcm", RAW + b"x"),
    "wav of its length": ("wav", wav_head(len(RAW)) + RAW),
    "wav of no length": ("wav", wav_head(0) + RAW),
    "wav of the longest length": ("wav", wav_head(0xFFFFFFFF) + RAW),
    "wav of almost the longest": ("wav", wav_head(0xFFFFFFFF - 36) + RAW),
    "wav longer than it came": ("wav", wav_head(2 * len(RAW)) + RAW),
    "wav with a title before": ("wav", wav_head(0, before=TITLE) + RAW),
    "wav with a title behind": ("wav", wav_head(len(RAW)) + RAW + TITLE),
    "wav of the long kind": ("wav", EXTENSIBLE_HEAD + struct.pack("<4sI", b"data", 0) + RAW),
    "wav of floats": ("wav", wav_head(0, bits=32, tag=3) + TONE.astype("<f4").tobytes()),
    "wav in stereo": ("wav", wav_head(0, channels=2) + pcm(stereo(TONE))),
    "wav where raw samples were asked for": ("pcm", wav_head(len(RAW)) + RAW),
    "flac": ("flac", file_of("FLAC", TONE)),
    "flac in stereo": ("flac", file_of("FLAC", stereo(TONE).reshape(-1, 2))),
}


@pytest.mark.parametrize("size", [1, 7, 4801, 1_000_000])
@pytest.mark.parametrize(("asked", "data"), GOOD.values(), ids=GOOD.keys())
def test_audio_comes_out_whole(asked: str, data: bytes, size: int) -> None:
    samples = decoded(data, asked, size=size)
    assert len(samples) == len(TONE)
    assert np.abs(samples - TONE).max() < 0.001


@pytest.mark.parametrize(
    ("asked", "kind", "data"),
    [
        ("wav", "audio/wav", wav_head(0, hertz=48000) + pcm(tone(0.5, hertz=48000))),
        ("wav", "audio/wav", wav_head(0, hertz=8000, channels=2) + pcm(stereo(tone(0.5, hertz=8000)))),
        ("flac", "audio/flac", file_of("FLAC", tone(0.5, hertz=16000), 16000)),
        ("opus", "audio/ogg", file_of("OGG", TONE)),
        ("mp3", "audio/mpeg", file_of("MP3", TONE)),
    ],
    ids=["48 kHz", "8 kHz stereo", "16 kHz flac", "ogg", "mp3"],
)
def test_another_rate_and_lossy_files_are_converted(asked: str, kind: str, data: bytes) -> None:
    samples = decoded(data, asked, kind)
    assert len(samples) / RATE_HERTZ == pytest.approx(0.5, abs=0.11)
    middle = samples[RATE_HERTZ // 8 : RATE_HERTZ // 8 + RATE_HERTZ // 4]
    assert int(np.abs(np.fft.rfft(middle)).argmax()) == 110  # 440 Hz in a quarter of a second
    assert np.sqrt(np.mean(np.square(middle))) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


def test_the_answers_own_rate_is_kept_where_none_is_wanted() -> None:
    incoming = Incoming("wav", "audio/wav", RATE_HERTZ, None)
    samples = incoming.feed(wav_head(0, hertz=44100) + pcm(tone(0.5, hertz=44100)))
    assert (incoming.source_hertz, len(samples)) == (44100, 22050)


@pytest.mark.parametrize("data", [b"", wav_head(0), wav_head(0xFFFFFFFF)], ids=["nothing", "wav", "endless wav"])
def test_an_answer_without_samples_is_no_failure(data: bytes) -> None:
    assert not len(decoded(data))


@pytest.mark.parametrize("is_long", [True, False])
def test_what_is_short_of_its_header_broke_off_unless_the_transfer_was_whole(is_long: bool) -> None:  # noqa: FBT001 # a test's table
    data = wav_head(len(RAW) + (1000 if is_long else 0)) + RAW
    assert len(decoded(data, is_whole=True)) == len(TONE)
    if is_long:
        with pytest.raises(ServerFailure, match="broke off"):
            decoded(data, is_whole=False)
    else:
        assert len(decoded(data, is_whole=False)) == len(TONE)


BAD = {
    "a page": ("pcm", b"<!DOCTYPE html><html>Welcome</html>", "a page or JSON"),
    "a page without a type": ("pcm", b"\n <html><body>Bad gateway</body></html>" * 3, "a page or JSON"),
    "JSON": ("pcm", b'{"error": {"message": "out of memory"}}', "a page or JSON"),
    "words": ("wav", b"Internal Server Error", "a format that is not known"),
    "half a header": ("wav", wav_head(0)[:30], "without samples"),
    "a header without end": ("wav", wav_head(0)[:-8] + b"x" * 70_000, "does not end"),
    "a chunk without end": ("wav", wav_head(0)[:-8] + struct.pack("<4sI", b"LIST", 0xFFFFFFF0) + RAW, "does not end"),
    "no format": ("wav", struct.pack("<4sI4s4sI", b"RIFF", 0, b"WAVE", b"data", 0) + RAW, "without a format"),
    "24 bits": ("wav", wav_head(0, bits=24) + RAW, "kind 1, 24 bits"),
    "no rate": ("wav", wav_head(0, hertz=0) + RAW, "0 Hz"),
    "no channel": ("wav", wav_head(0, channels=0) + RAW, "0 channels"),
    "no number": ("wav", wav_head(0, bits=32, tag=3) + b"\xff" * 4000, "finite samples"),
    "a damaged flac": ("flac", b"fLaC" + b"\x00" * 4000, "cannot be decoded"),
    "half a flac": ("flac", file_of("FLAC", TONE)[:60], "cannot be decoded"),
    "more than two minutes": ("pcm", b"\x00\x01" * (121 * RATE_HERTZ), "more than 120 s"),
    "more than two minutes of flac": (
        "flac",
        file_of("FLAC", np.zeros(121 * RATE_HERTZ, np.float32)),
        "more than 120 s",
    ),
}


@pytest.mark.parametrize(("asked", "data", "told"), BAD.values(), ids=BAD.keys())
def test_what_is_no_audio_is_refused(asked: str, data: bytes, told: str) -> None:
    with pytest.raises(ServerFailure, match=told):
        decoded(data, asked, size=4801)
