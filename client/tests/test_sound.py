"""Audio files in pieces, at the pace of a microphone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voxmesh_client.playback import SilentPlayer
from voxmesh_client.sound import Pacer, file_chunks, samples_of, sendable, sent_hertz, silence, write_pcm
from voxmesh_runtime.audio import AudioFile, write_wav

pytestmark = pytest.mark.unit


async def test_chunks_of_a_file_are_its_samples_in_order(tmp_path: Path) -> None:
    samples = np.sin(np.arange(5000, dtype=np.float32) / 20)
    write_wav(tmp_path / "tone.wav", samples, 16000)
    with AudioFile(tmp_path / "tone.wav") as file:
        chunks = [chunk async for chunk in file_chunks(file, 0.02)]
    assert [len(chunk) for chunk in chunks] == [640] * 15 + [400]
    assert np.allclose(samples_of(b"".join(chunks)), samples, atol=1e-4)


async def test_progress_ends_at_the_files_length(tmp_path: Path) -> None:
    write_wav(tmp_path / "quiet.wav", np.zeros(24000, np.float32), 16000)
    seen: list[float] = []
    with AudioFile(tmp_path / "quiet.wav") as file:
        async for _ in file_chunks(file, 0.1, seen.append):
            pass
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.5)


async def test_a_pacer_lets_chunks_pass_no_faster_than_real_time() -> None:
    clock = asyncio.get_running_loop().time
    pacer = Pacer(0.02)
    started = clock()
    for _ in range(11):
        await pacer.wait()
    assert clock() - started >= 0.2 - 0.005


async def test_a_pacer_catches_up_after_a_pause() -> None:
    clock = asyncio.get_running_loop().time
    pacer = Pacer(0.05)
    await pacer.wait()
    await asyncio.sleep(0.25)
    before = clock()
    for _ in range(5):  # five chunks were due meanwhile
        await pacer.wait()
    assert clock() - before < 0.05
    await pacer.wait()
    assert clock() - before >= 0.03


def test_silence_is_zeros_of_the_right_length() -> None:
    assert silence(16000, 0.02) == bytes(640)


def test_pcm_is_written_as_a_wav_file_of_its_length(tmp_path: Path) -> None:
    assert write_pcm(tmp_path / "out.wav", [bytes(4800), bytes(4800)], 24000) == pytest.approx(0.2)
    with AudioFile(tmp_path / "out.wav") as file:
        assert file.duration_s == pytest.approx(0.2)
        assert file.sample_rate_hertz == 24000


async def test_silent_playback_takes_the_time_of_its_audio_and_no_more_than_it_got() -> None:
    player = SilentPlayer(24000)
    assert player.played_s == 0
    player.play(bytes(4800))  # 0.1 s
    await asyncio.sleep(0.03)
    assert 0.02 < player.played_s <= 0.1
    await asyncio.sleep(0.2)
    assert player.played_s == pytest.approx(0.1)


async def test_dropped_audio_is_not_played() -> None:
    player = SilentPlayer(24000)
    player.play(bytes(48000))
    await asyncio.sleep(0.02)
    player.drop()
    heard = player.played_s
    await asyncio.sleep(0.05)
    assert player.played_s == pytest.approx(heard)
    player.begin()
    assert player.played_s == 0


@pytest.mark.parametrize(
    ("rate", "sent"),
    [
        pytest.param(16000, 16000, id="as-it-is"),
        pytest.param(96000, 48000, id="C11-96-khz"),
        pytest.param(192000, 48000, id="C11-192-khz"),
        pytest.param(4000, 8000, id="C11-4-khz"),
    ],
)
async def test_c11_a_file_of_any_rate_is_sent_at_one_that_services_take(tmp_path: Path, rate: int, sent: int) -> None:
    samples = 0.5 * np.sin(2 * np.pi * 300 * np.arange(rate, dtype=np.float32) / rate)
    soundfile.write(tmp_path / "tone.wav", samples.astype(np.float32), rate)
    with AudioFile(tmp_path / "tone.wav") as file:
        assert sent_hertz(file.sample_rate_hertz) == sent
        audio = samples_of(b"".join([chunk async for chunk in file_chunks(file, 0.02)]))
    expected = 0.5 * np.sin(2 * np.pi * 300 * np.arange(sent) / sent)
    assert audio.size == sent
    inner = slice(sent // 10, -sent // 10)
    assert np.allclose(audio[inner], expected[inner], atol=0.01)
    assert sendable(samples.astype(np.float32), rate)[0].size == audio.size
