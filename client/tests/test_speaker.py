"""Playing and recording, with a stand-in for PortAudio's thread."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from voxmesh_client.speaker import NoAudioDevice, Speaker, microphone

pytestmark = pytest.mark.unit

Callback = Callable[[Any, int, Any, Any], None]


class PortAudioError(Exception):
    """What sounddevice raises."""


class DeviceStream:
    """A device whose time the test drives."""

    opened: ClassVar[list[DeviceStream]] = []
    latency = 0.0

    def __init__(self, callback: Callback, **options: object) -> None:
        self.callback = callback
        self.options = options
        self.closed = False
        DeviceStream.opened.append(self)

    def start(self) -> None:
        """It runs when the test says so."""

    def close(self) -> None:
        self.closed = True

    def takes(self, frames: int) -> list[int]:
        """The next samples that are played."""
        data = bytearray(b"\x7f" * 2 * frames)
        self.callback(data, frames, None, None)
        return np.frombuffer(bytes(data), "<i2").tolist()


@pytest.fixture(autouse=True)
def device(monkeypatch: pytest.MonkeyPatch) -> None:
    DeviceStream.opened.clear()
    module = SimpleNamespace(RawOutputStream=DeviceStream, RawInputStream=DeviceStream, PortAudioError=PortAudioError)
    monkeypatch.setitem(sys.modules, "sounddevice", module)


def pcm(*samples: int) -> bytes:
    return np.array(samples, "<i2").tobytes()


def test_audio_is_played_in_order_and_silence_follows() -> None:
    with Speaker(24000) as speaker:
        speaker.play(pcm(1000, -2000))
        speaker.play(pcm(3000))
        stream = DeviceStream.opened[0]
        assert stream.options["samplerate"] == 24000
        assert stream.takes(2) == [1000, -2000]
        assert stream.takes(3) == [3000, 0, 0]
    assert stream.closed


def test_the_position_counts_what_was_played_of_the_current_reply_and_no_silence() -> None:
    with Speaker(1000) as speaker:
        speaker.play(bytes(2 * 500))
        DeviceStream.opened[0].takes(200)
        assert speaker.played_s == pytest.approx(0.2)
        DeviceStream.opened[0].takes(1000)
        assert speaker.played_s == pytest.approx(0.5)
        speaker.begin()
        assert speaker.played_s == 0


def test_dropped_audio_falls_silent_at_once_and_ducked_audio_is_quieter() -> None:
    with Speaker(24000) as speaker:
        speaker.play(pcm(*[8000] * 6))
        stream = DeviceStream.opened[0]
        speaker.set_gain(0.25)
        assert stream.takes(2) == [2000, 2000]
        speaker.set_gain(1.0)
        assert stream.takes(2) == [8000, 8000]
        speaker.drop()
        assert stream.takes(2) == [0, 0]


async def test_the_microphone_gives_chunks_and_is_closed_at_the_end() -> None:
    chunks = microphone(16000, 0.02)
    first = asyncio.ensure_future(anext(chunks))
    await asyncio.sleep(0)
    stream = DeviceStream.opened[0]
    assert stream.options["blocksize"] == 320
    stream.callback(pcm(1, 2), 2, None, None)
    assert await first == pcm(1, 2)
    await chunks.aclose()
    assert stream.closed


def test_no_device_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: object) -> None:
        raise PortAudioError(f"no default device for {len(options)} options")

    monkeypatch.setattr(sys.modules["sounddevice"], "RawOutputStream", refuse)
    with pytest.raises(NoAudioDevice, match=r"no speaker can be used .* work with files"):
        Speaker(24000)
