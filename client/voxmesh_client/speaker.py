"""The speaker and microphone of this machine, through PortAudio, which need not be there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from types import ModuleType, TracebackType
from typing import Any, Self

import numpy as np

from voxmesh_client.sound import samples_of

_MICROPHONE_QUEUE = 50


class NoAudioDevice(Exception):
    """This machine cannot play or record; the message says what to do."""


def _sounddevice() -> ModuleType:
    """The library, imported only by those who play or record.

    Raises:
        NoAudioDevice: PortAudio is not installed.
    """
    try:
        import sounddevice  # noqa: PLC0415 # fails where PortAudio is missing
    except OSError:
        raise NoAudioDevice(
            "PortAudio is not installed here; install it (Debian: libportaudio2), or work with files: "
            "`voxmesh ask FILE.wav`, `voxmesh speak TEXT --out FILE.wav`"
        ) from None
    return sounddevice


def _opened(kind: str, **options: Any) -> Any:
    """A started stream of sounddevice.

    Raises:
        NoAudioDevice: there is no such device, or it is in use.
    """
    sounddevice = _sounddevice()
    try:
        stream = getattr(sounddevice, kind)(channels=1, dtype="int16", **options)
        stream.start()
    except sounddevice.PortAudioError as error:
        device = "speaker" if kind == "RawOutputStream" else "microphone"
        raise NoAudioDevice(
            f"no {device} can be used ({error}); connect one, or work with files: "
            "`voxmesh ask FILE.wav`, `voxmesh speak TEXT --out FILE.wav`"
        ) from None
    return stream


class Speaker:
    """Plays PCM_S16LE as it arrives; `played_s` tells how much has been handed to the device."""

    def __init__(self, sample_rate_hertz: int) -> None:
        self._rate = sample_rate_hertz
        self._queue = bytearray()
        self._lock = threading.Lock()
        self._gain = 1.0
        self._played_bytes = 0
        self._stream: Any = _opened("RawOutputStream", samplerate=sample_rate_hertz, callback=self._fill)

    def play(self, data: bytes) -> None:
        """Queue audio."""
        with self._lock:
            self._queue += data

    def drop(self) -> None:
        """Forget what is queued; silence follows at once."""
        with self._lock:
            self._queue.clear()

    def begin(self) -> None:
        """A new reply starts: count `played_s` from 0."""
        with self._lock:
            self._queue.clear()
            self._played_bytes = 0

    def set_gain(self, gain: float) -> None:
        """Volume in [0, 1]."""
        self._gain = gain

    @property
    def played_s(self) -> float:
        """Seconds of the current reply that were played."""
        return self._played_bytes / 2 / self._rate

    @property
    def waiting_s(self) -> float:
        """Seconds that are queued."""
        return len(self._queue) / 2 / self._rate

    async def drained(self) -> None:
        """Wait until everything queued has been played."""
        while self.waiting_s > 0:  # noqa: ASYNC110 # the device's thread has no event of this loop
            await asyncio.sleep(min(self.waiting_s, 0.1))
        await asyncio.sleep(float(self._stream.latency))

    def close(self) -> None:
        """Let the device go."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fill(self, outdata: Any, frames: int, time: Any, status: Any) -> None:
        """Called by PortAudio's thread for the next frames."""
        del time, status
        with self._lock:
            data = bytes(self._queue[: 2 * frames])
            del self._queue[: 2 * frames]
            self._played_bytes += len(data)
        samples = np.rint(samples_of(data) * self._gain * 32767).astype("<i2").tobytes()
        outdata[: len(samples)] = samples
        outdata[len(samples) :] = bytes(2 * frames - len(samples))


async def microphone(sample_rate_hertz: int, chunk_s: float) -> AsyncGenerator[bytes]:
    """PCM_S16LE of the microphone; chunks that nobody takes in time are dropped.

    Raises:
        NoAudioDevice: there is none.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes] = asyncio.Queue(_MICROPHONE_QUEUE)

    def put(data: bytes) -> None:
        if not queue.full():
            queue.put_nowait(data)

    def heard(indata: Any, frames: int, time: Any, status: Any) -> None:
        del frames, time, status
        loop.call_soon_threadsafe(put, bytes(indata))

    blocksize = round(sample_rate_hertz * chunk_s)
    stream = _opened("RawInputStream", samplerate=sample_rate_hertz, blocksize=blocksize, callback=heard)
    try:
        while True:
            yield await queue.get()
    finally:
        stream.close()
