"""Check a stream's config against the contract, before the engine sees it."""

from __future__ import annotations

from google.protobuf import duration_pb2

from voxmesh.turn.v1 import turn_pb2
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.refusals import check_count, check_range
from voxmesh_turn.engine import DetectionOptions, Transcript

MAX_DURATION_S = 10.0
MAX_TRANSCRIPT_CHARACTERS = 20_000


def detection_options(config: turn_pb2.TurnDetectionConfig) -> DetectionOptions:
    """The options of a config.

    Raises:
        InvalidArgument: a field is outside its limits.
    """
    return DetectionOptions(
        activation_threshold=_threshold(config),
        min_speech_s=_length(config, "min_speech_duration"),
        min_silence_s=_length(config, "min_silence_duration"),
        transcripts=config.transcripts,
    )


def transcript_of(transcript: turn_pb2.Transcript) -> Transcript:
    """A caller's words.

    Raises:
        InvalidArgument: there are too many of them.
    """
    check_count("transcript.text", len(transcript.text), MAX_TRANSCRIPT_CHARACTERS)
    return Transcript(transcript.text, transcript.language_code)


def _threshold(config: turn_pb2.TurnDetectionConfig) -> float | None:
    if not config.HasField("activation_threshold"):
        return None
    threshold = config.activation_threshold
    # Written so that NaN, which compares to nothing, is refused too.
    if not 0 < threshold < 1:
        raise InvalidArgument("config.activation_threshold", f"must be above 0 and below 1, not {threshold:g}")
    return threshold


def _length(config: turn_pb2.TurnDetectionConfig, name: str) -> float | None:
    if not config.HasField(name):  # pyright: ignore[reportArgumentType] # only names of the message's fields come here
        return None
    value: duration_pb2.Duration = getattr(config, name)
    length_s = seconds_of(value)
    check_range(f"config.{name}", length_s, 0, MAX_DURATION_S, "s")
    return length_s
