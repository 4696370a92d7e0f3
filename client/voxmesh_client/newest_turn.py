"""What was received of the newest turn, for a coordinator that takes the session over from one that died."""

from __future__ import annotations

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_runtime.audio import AudioFormat
from voxmesh_runtime.clock import duration, seconds_of

Response = conversation_pb2.ConverseResponse
TurnInProgress = conversation_pb2.TurnInProgress

REPLY_FORMAT = AudioFormat(sample_rate_hertz=24_000)
"""Of reply audio where the config names none."""


class NewestTurn:
    """Follows the responses of a session.

    Args:
        config: of the session; it has the format of reply audio.
    """

    def __init__(self, config: conversation_pb2.ConversationConfig) -> None:
        self._config = config
        self._turn: TurnInProgress | None = None
        self._began_sequence = 0
        self._last_reply_sequence: int | None = None

    def take(self, kind: str, response: Response) -> None:
        """The next response; `kind` is the name of the field that is set."""
        match kind:
            case "turn_ended":
                ended = response.turn_ended
                turn = self._begin(response.sequence, ended.turn_index)
                turn.said, turn.input_sequence = ended.text, ended.input_sequence
                turn.next_audio_sequence = ended.next_audio_sequence
                turn.next_audio_offset.CopyFrom(ended.next_audio_offset)
            case "turn_failed" if self._turn is None or response.turn_failed.turn_index > self._turn.turn_index:
                self._begin(response.sequence, response.turn_failed.turn_index).is_finished = True
            case "reply_audio":
                self._last_reply_sequence = response.reply_audio.sequence
            case _:
                pass
        if self._turn is not None and getattr(getattr(response, kind, None), "turn_index", -1) == self._turn.turn_index:
            self._take_reply(self._turn, kind, response)

    def tell(self, resume: conversation_pb2.Resume) -> None:
        """Add what was received to a resume."""
        if self._turn is not None:
            resume.turn.CopyFrom(self._turn)
        if self._last_reply_sequence is not None:
            resume.last_reply_sequence = self._last_reply_sequence

    def void(self, after_sequence: int) -> int | None:
        """Responses beyond this sequence never were; gives the index of the first turn that never was, if one is."""
        turn, self._turn = self._turn, None
        return turn.turn_index if turn is not None and self._began_sequence > after_sequence else None

    def clear(self) -> None:
        """A new session has begun."""
        self._turn, self._last_reply_sequence = None, None

    def _begin(self, sequence: int, turn_index: int) -> TurnInProgress:
        self._turn, self._began_sequence = TurnInProgress(turn_index=turn_index), sequence
        return self._turn

    def _seconds(self, data: bytes) -> float:
        audio_format = REPLY_FORMAT
        if self._config.HasField("reply_audio_format"):
            audio_format = AudioFormat.from_proto(self._config.reply_audio_format, "config.reply_audio_format")
        return len(data) / audio_format.bytes_per_frame / audio_format.sample_rate_hertz

    def _take_reply(self, turn: TurnInProgress, kind: str, response: Response) -> None:
        match kind:
            case "reply_text":
                turn.reply_text += response.reply_text.delta
            case "reply_audio":
                audio = response.reply_audio
                turn.is_spoken |= audio.is_last
                turn.reply_audio_offset.CopyFrom(duration(seconds_of(audio.offset) + self._seconds(audio.data)))
            case "interrupted":
                turn.interrupted.CopyFrom(response.interrupted)
            case "reply_finished":
                turn.reply_finished.CopyFrom(response.reply_finished)
            case "turn_failed":
                turn.is_failed = True
            case "turn_report":
                turn.is_finished = True
            case _:
                pass
