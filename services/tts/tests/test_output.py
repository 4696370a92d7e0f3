"""A segment's samples become short messages in the caller's format."""

from __future__ import annotations

import numpy as np
import pytest

from voxmesh_runtime.audio import AudioFormat, Decoder, Encoding
from voxmesh_tts.output import AudioOutput

pytestmark = pytest.mark.unit

TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(24000) / 24000)).astype(np.float32)


@pytest.mark.parametrize(
    "audio_format",
    [AudioFormat(Encoding.S16LE, 24000), AudioFormat(Encoding.MULAW, 8000), AudioFormat(Encoding.F32LE, 44100, 2)],
)
def test_pieces_of_any_size_give_one_second_of_tone(audio_format: AudioFormat) -> None:
    output = AudioOutput(audio_format, 24000)
    chunks = [chunk for part in np.array_split(TONE, 37) for chunk in output.chunks(part)]
    chunks += output.rest()
    assert output.duration_s == pytest.approx(1.0, abs=1e-3)
    samples = np.concatenate([Decoder(audio_format).decode(chunk.data) for chunk in chunks])
    rate = audio_format.sample_rate_hertz
    assert len(samples) == round(output.duration_s * rate)
    strongest = np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples)
    assert strongest == pytest.approx(440, abs=2)


def test_no_message_is_longer_than_a_tenth_of_a_second() -> None:
    output = AudioOutput(AudioFormat(Encoding.S16LE, 11025), 24000)
    chunks = [*output.chunks(TONE), *output.rest()]
    assert max(len(chunk.data) for chunk in chunks) <= 2 * 1102
    assert [chunk.offset_s for chunk in chunks] == sorted({chunk.offset_s for chunk in chunks})
