"""What a session said to a recogniser and has no answer to: heard again by another one when it breaks."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from google.protobuf.duration_pb2 import Duration

from voxmesh.common.v1 import common_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_routing.backends import Backend
from voxmesh_routing.timeline import ROUNDING_S, AudioTimeline, Piece
from voxmesh_runtime.clock import duration, seconds_of

Request = stt_pb2.StreamingRecognizeRequest
Response = stt_pb2.StreamingRecognizeResponse

MAX_SPANS = 32
"""Latest turns of one call whose places are remembered; answers to older ones are long there."""


@dataclass(frozen=True, slots=True)
class Recognize:
    """Somebody speaks: the audio is recognised from a moment on, in seconds of the microphone's."""

    from_s: float


@dataclass(frozen=True, slots=True)
class Finalize:
    """What was said so far is wanted as final."""

    parent: common_pb2.TraceContext


@dataclass(frozen=True, slots=True)
class Discard:
    """What was said and has no answer is of no use; nothing is recognised until the next Recognize."""


Unit = Piece | Recognize | Finalize | Discard


@dataclass(frozen=True, slots=True)
class _Mark:
    number: int
    at_s: float
    finalize: Request


class RecognizerReplay:
    """Keeps a place in the audio up to which there are final words, and the finalizes after it.

    Answers have offsets of the microphone's audio, and utterances are numbered over all breaks. What is answered of
    audio that was discarded meanwhile is dropped.

    Args:
        config: of every call.
        timeline: the audio.
    """

    def __init__(self, config: stt_pb2.RecognitionConfig, timeline: AudioTimeline) -> None:
        self.settled = 0
        self._config = Request(config=config)
        self._timeline = timeline
        self._is_recognizing = False
        self._answered_s = 0.0
        self._marks = deque[_Mark]()
        self._finalized = 0
        self._utterance_index = 0
        # Of the call that was opened last.
        self._spans = _Spans(timeline.end_s)
        self._first_utterance = 0
        self._discarded_s = -inf
        self._discarded_marks = 0

    @property
    def is_owing(self) -> bool:
        """Somebody speaks, or a final transcript is awaited."""
        return self._is_recognizing or bool(self._marks)

    @property
    def awaited(self) -> int | None:
        """The first finalize that has no answer."""
        return self._marks[0].number if self._marks else None

    def config_for(self, backend: Backend) -> Request:
        """The same for all backends."""
        del backend
        return self._config

    def sent(self, unit: Unit) -> Sequence[Request]:
        """Take what is to be recognised; see `voxmesh_routing.failover.Replay`."""
        match unit:
            case Piece():
                return [self._audio(unit)] if self._is_recognizing else []
            case Recognize(from_s):
                if self._is_recognizing:
                    return []
                self._is_recognizing, self._answered_s = True, from_s
                return [self._audio(piece) for piece in self._timeline.since(from_s)]
            case Finalize(parent):
                self._finalized += 1
                finalize = Request(finalize=stt_pb2.Finalize(trace_context=parent))
                self._marks.append(_Mark(self._finalized, self._timeline.end_s, finalize))
                return [finalize]
            case Discard():
                was_recognizing, self._is_recognizing = self._is_recognizing, False
                self._discarded_s, self._discarded_marks = self._spans.end_s, self._discarded_marks + len(self._marks)
                self._marks.clear()
                return [Request(discard=stt_pb2.Discard())] if was_recognizing else []

    def pending(self, ready: common_pb2.Ready) -> Sequence[Request]:
        """The audio without final words, with the finalizes in their places."""
        del ready
        self._spans = _Spans(self._marks[0].at_s if self._marks else self._timeline.end_s)
        self._first_utterance = self._utterance_index
        self._discarded_s, self._discarded_marks = -inf, 0
        requests, marks = list[Request](), deque(self._marks)
        for piece in self._timeline.since(self._answered_s) if self._is_recognizing else ():
            while marks and marks[0].at_s <= piece.begin_s:
                requests.append(marks.popleft().finalize)
            requests.append(self._audio(piece))
        return [*requests, *(mark.finalize for mark in marks)]

    def received(self, response: Response) -> Response | None:
        """An answer in the microphone's offsets."""
        match response.WhichOneof("streaming_response"):
            case "result" if not self._is_discarded(response.result):
                self._take_result(response.result)
            case "finalized" if self._discarded_marks:
                self._discarded_marks -= 1
                return None
            case "finalized" if self._marks:
                self._answered_s = max(self._answered_s, self._marks.popleft().at_s)
                response.finalized.utterance_index += self._first_utterance
            case _:
                return None
        self.settled += 1
        return response

    def _is_discarded(self, result: stt_pb2.RecognitionResult) -> bool:
        return result.HasField("end_offset") and seconds_of(result.end_offset) <= self._discarded_s + ROUNDING_S / 2

    def _take_result(self, result: stt_pb2.RecognitionResult) -> None:
        result.utterance_index += self._first_utterance
        self._utterance_index = result.utterance_index + result.is_final
        for offset in (result.end_offset, *(word.end_offset for word in result.words)):
            self._spans.move(offset, -ROUNDING_S)
        for word in result.words:
            self._spans.move(word.start_offset, ROUNDING_S)
        if result.HasField("received_audio_duration"):
            self._spans.move(result.received_audio_duration, -ROUNDING_S)
        if result.is_final:
            # What a finalize asked for is owed until that is answered.
            until_s = min([seconds_of(result.end_offset), *(mark.at_s for mark in self._marks)])
            self._answered_s = max(self._answered_s, until_s)

    def _audio(self, piece: Piece) -> Request:
        self._spans.add(piece)
        return Request(audio=piece.data)


class _Spans:
    """Where the audio of one call lies in the microphone's: it hears nothing of the silence between two turns.

    Args:
        begin_s: the place of a call that hears nothing.
    """

    def __init__(self, begin_s: float) -> None:
        self.end_s = 0.0
        """Audio of the call, in seconds."""
        self._begins = list[float]()
        self._shifts = [begin_s]

    def add(self, piece: Piece) -> None:
        """The next piece is said."""
        shift_s = piece.begin_s - self.end_s
        if not self._begins:
            self._begins, self._shifts = [self.end_s], [shift_s]
        elif abs(shift_s - self._shifts[-1]) > ROUNDING_S:
            self._begins = [*self._begins[-MAX_SPANS:], self.end_s]
            self._shifts = [*self._shifts[-MAX_SPANS:], shift_s]
        self.end_s += piece.end_s - piece.begin_s

    def move(self, offset: Duration, by_s: float) -> None:
        """Put an offset of the call onto the microphone's audio; one between two spans lies `by_s` to its side."""
        at_s = seconds_of(offset)
        index = max(0, bisect_left(self._begins, at_s + by_s) - 1)
        offset.CopyFrom(duration(max(0.0, at_s + self._shifts[index])))
