"""The simulated loudspeaker: plays replies in real time, and lets some of them back into the microphone."""

from __future__ import annotations

from collections import deque

import numpy as np

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client.asking import REPLY_HERTZ
from voxmesh_client.bench.conversations.microphone import FRAME, FRAME_S
from voxmesh_client.bench.conversations.sounds import MICROPHONE_HERTZ
from voxmesh_client.events import Event
from voxmesh_client.sound import samples_of
from voxmesh_runtime.audio import Resampler, Samples

_PERIOD = round(FRAME_S * REPLY_HERTZ)
ECHO_DELAY_FRAMES = 6
"""An echo comes back 120 ms later, as through a phone's buffers."""


class Player:
    """One reply at a time, 20 ms a tick; what has not arrived by then is silence and does not count as played."""

    def __init__(self) -> None:
        self.turn_index: int | None = None
        """The turn whose reply is played, or was last."""
        self.played_out_s: dict[int, float] = {}
        """When a reply had been played to its end."""
        self.began_s: dict[int, float] = {}
        """When a reply began to be played."""
        self._queue: deque[Samples] = deque()
        self._queued = 0
        self._played = 0
        self._is_complete = False
        self._gain = 1.0
        self._echo = _Echo()

    @property
    def is_playing(self) -> bool:
        """True while a reply is to be heard, or its next piece is on the way."""
        return self.turn_index is not None and self.turn_index not in self.played_out_s

    @property
    def position(self) -> tuple[int, float] | None:
        """Turn and seconds of its reply that were played."""
        return None if self.turn_index is None else (self.turn_index, self._played / REPLY_HERTZ)

    def take(self, event: Event, now_s: float) -> None:
        """Do what the coordinator says."""
        match event:
            case conversation_pb2.ReplyAudio():
                self._queue_audio(event, now_s)
            case conversation_pb2.Interrupted():
                self._stop(now_s)
                self._gain = 1.0
            case conversation_pb2.Duck():
                self._gain = event.gain
            case _:
                pass

    def tick(self, now_s: float) -> None:
        """Play 20 ms."""
        heard = self._next_period()
        if heard.size and self.turn_index is not None:
            self.began_s.setdefault(self.turn_index, now_s)
        self._echo.put(heard * np.float32(self._gain))
        if self._is_complete and not self._queued:
            self._stop(now_s)

    def start_echo(self, seconds: float, gain_db: float) -> None:
        """Let the next seconds of what is played reach the microphone."""
        self._echo.start(seconds, gain_db)

    def echo(self) -> Samples | None:
        """20 ms of echo at the microphone's rate; None while there is none."""
        return self._echo.next()

    def _queue_audio(self, audio: conversation_pb2.ReplyAudio, now_s: float) -> None:
        if audio.turn_index != self.turn_index:
            self._stop(now_s)
            self.turn_index, self._played, self._is_complete = audio.turn_index, 0, False
        if self.turn_index in self.played_out_s:
            return  # it was stopped; this piece was on its way
        samples = samples_of(audio.data)
        self._queue.append(samples)
        self._queued += samples.size
        self._is_complete = audio.is_last

    def _stop(self, now_s: float) -> None:
        self._queue.clear()
        self._queued = 0
        if self.turn_index is not None:
            self.played_out_s.setdefault(self.turn_index, now_s)

    def _next_period(self) -> Samples:
        parts: list[Samples] = []
        wanted = min(_PERIOD, self._queued)
        while wanted:
            head = self._queue.popleft()
            parts.append(head[:wanted])
            if head.size > wanted:
                self._queue.appendleft(head[wanted:])
            wanted -= parts[-1].size
        heard = np.concatenate([np.empty(0, np.float32), *parts])
        self._queued -= heard.size
        self._played += heard.size
        return heard


class _Echo:
    """A delay line from the loudspeaker to the microphone."""

    def __init__(self) -> None:
        self._line: deque[Samples] = deque([np.zeros(_PERIOD, np.float32)] * ECHO_DELAY_FRAMES)
        self._resampler = Resampler(REPLY_HERTZ, MICROPHONE_HERTZ)
        self._ready = np.empty(0, np.float32)
        self._frames_left = 0
        self._gain = np.float32(0)

    def start(self, seconds: float, gain_db: float) -> None:
        self._frames_left = round(seconds / FRAME_S)
        self._gain = np.float32(10 ** (gain_db / 20))

    def put(self, heard: Samples) -> None:
        self._line.append(np.pad(heard, (0, _PERIOD - heard.size)))

    def next(self) -> Samples | None:
        delayed = self._line.popleft()
        if not self._frames_left:
            return None
        self._frames_left -= 1
        self._ready = np.concatenate([self._ready, self._resampler.process(delayed * self._gain)])
        frame, self._ready = self._ready[:FRAME], self._ready[FRAME:]
        if not self._frames_left:
            self._resampler.flush()
            self._ready = np.empty(0, np.float32)
        return np.pad(frame, (FRAME - frame.size, 0))
