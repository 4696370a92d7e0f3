"""The format of raw audio in a stream, checked once when the stream's config arrives."""

import enum
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from voxmesh.common.v1 import common_pb2
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.refusals import check_range

Samples: TypeAlias = npt.NDArray[np.float32]
"""Mono samples in [-1, 1], shape (n,)."""

MIN_RATE_HERTZ = 8000
MAX_RATE_HERTZ = 48000
MAX_CHANNELS = 8


class Encoding(enum.Enum):
    """How one sample is written; the values are the contract's."""

    S16LE = common_pb2.AudioFormat.ENCODING_PCM_S16LE
    F32LE = common_pb2.AudioFormat.ENCODING_PCM_F32LE
    MULAW = common_pb2.AudioFormat.ENCODING_MULAW
    ALAW = common_pb2.AudioFormat.ENCODING_ALAW

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of one sample of one channel."""
        return {Encoding.S16LE: 2, Encoding.F32LE: 4}.get(self, 1)


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Encoding, rate and interleaved channels of raw audio."""

    encoding: Encoding = Encoding.S16LE
    sample_rate_hertz: int = 16000
    channel_count: int = 1

    @classmethod
    def from_proto(cls, proto: common_pb2.AudioFormat, field: str = "config.audio_format") -> Self:
        """The format that a caller declared; `field` is its path in the request.

        Raises:
            InvalidArgument: unset or unknown encoding, rate or channels outside the limits.
        """
        return cls(
            _checked_encoding(proto.encoding, f"{field}.encoding"),
            _checked_rate(proto.sample_rate_hertz, f"{field}.sample_rate_hertz"),
            _checked_channels(proto.channel_count, f"{field}.channel_count"),
        )

    def to_proto(self) -> common_pb2.AudioFormat:
        """The format as the contract's message."""
        return common_pb2.AudioFormat(
            encoding=self.encoding.value,
            sample_rate_hertz=self.sample_rate_hertz,
            channel_count=self.channel_count,
        )

    @property
    def bytes_per_frame(self) -> int:
        """Bytes of one sample of every channel."""
        return self.encoding.bytes_per_sample * self.channel_count


def _checked_encoding(number: int, field: str) -> Encoding:
    try:
        return Encoding(number)
    except ValueError:
        names = ", ".join(
            common_pb2.AudioFormat.Encoding.Name(encoding.value).removeprefix("ENCODING_") for encoding in Encoding
        )
        problem = "must be set" if number == common_pb2.AudioFormat.ENCODING_UNSPECIFIED else f"is unknown ({number})"
        raise InvalidArgument(field, f"{problem}; one of {names}") from None


def _checked_rate(rate: int, field: str) -> int:
    check_range(field, rate, MIN_RATE_HERTZ, MAX_RATE_HERTZ)
    return rate


def _checked_channels(count: int, field: str) -> int:
    if not 0 <= count <= MAX_CHANNELS:
        raise InvalidArgument(field, f"must be from 1 to {MAX_CHANNELS}, or unset for 1, not {count}")
    return count or 1
