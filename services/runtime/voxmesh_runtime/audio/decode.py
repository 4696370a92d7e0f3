"""Bytes of a stream to float32 mono samples and back, with everything refused that is no audio."""

import numpy as np
import numpy.typing as npt

from voxmesh_runtime.audio.format import AudioFormat, Encoding, Samples
from voxmesh_runtime.audio.g711 import LAWS
from voxmesh_runtime.audio.mono import MonoMix
from voxmesh_runtime.errors import InvalidArgument

MAX_CHUNK_BYTES = 64 * 1024
"""Longest audio message that is accepted unless told otherwise."""

_S16_SCALE = 32768.0


class Decoder:
    """Turns the audio messages of one stream into samples; between messages it keeps which channels cancel.

    Args:
        audio_format: of every message.
        field: path of the audio in the request, for errors.
        max_chunk_bytes: longest message accepted.
    """

    def __init__(
        self, audio_format: AudioFormat, field: str = "audio", *, max_chunk_bytes: int = MAX_CHUNK_BYTES
    ) -> None:
        self._format = audio_format
        self._field = field
        self._max_chunk_bytes = max_chunk_bytes
        self._mono = MonoMix(audio_format.channel_count, audio_format.sample_rate_hertz)

    def decode(self, data: bytes) -> Samples:
        """Mono samples in [-1, 1] at the format's own rate, one a frame; of several channels see `audio.mono`.

        Raises:
            InvalidArgument: no data, too much, part of a frame, or floats that are not finite.
        """
        self._check_size(len(data))
        return self._mono.mix(self._interleaved(data).reshape(-1, self._format.channel_count))

    def check(self, data: bytes) -> None:
        """See that `decode` would take a message, without taking it.

        Raises:
            InvalidArgument: it would not.
        """
        self._check_size(len(data))
        self._interleaved(data)

    def _check_size(self, size: int) -> None:
        frame = self._format.bytes_per_frame
        if size == 0:
            raise InvalidArgument(self._field, "must not be empty")
        if size > self._max_chunk_bytes:
            raise InvalidArgument(self._field, f"must be at most {self._max_chunk_bytes} bytes a message, not {size}")
        if size % frame:
            raise InvalidArgument(self._field, f"must be whole frames of {frame} bytes, not {size} bytes")

    def _interleaved(self, data: bytes) -> Samples:
        encoding = self._format.encoding
        if encoding is Encoding.S16LE:
            return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(_S16_SCALE)
        if encoding is Encoding.F32LE:
            return self._finite(np.frombuffer(data, "<f4").astype(np.float32, copy=False))
        return LAWS[encoding].decode(np.frombuffer(data, np.uint8))

    def _finite(self, samples: Samples) -> Samples:
        if not np.isfinite(samples).all():
            raise InvalidArgument(self._field, "must hold finite samples in [-1, 1], not NaN or infinity")
        return np.clip(samples, -1.0, 1.0)


class Encoder:
    """Turns a model's samples into bytes of a format; every channel gets the same signal."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format

    def encode(self, samples: Samples) -> bytes:
        """Bytes of mono samples at the format's own rate; values outside [-1, 1] are clipped.

        Raises:
            ValueError: the samples are not finite, a fault of the model.
        """
        if not np.isfinite(samples).all():
            raise ValueError("the model gave samples that are NaN or infinite")
        encoded = self._encoded(np.clip(samples, -1.0, 1.0))
        return np.repeat(encoded, self._format.channel_count).tobytes()

    def _encoded(self, samples: Samples) -> npt.NDArray[np.generic]:
        encoding = self._format.encoding
        if encoding is Encoding.S16LE:
            return to_s16(samples)
        if encoding is Encoding.F32LE:
            return samples.astype("<f4")
        return LAWS[encoding].encode(samples)


def to_s16(samples: Samples) -> npt.NDArray[np.int16]:
    """Little-endian 16-bit integers of samples in [-1, 1]; decoding them gives the samples back exactly."""
    return np.clip(np.rint(samples * np.float32(_S16_SCALE)), -32768, 32767).astype("<i2")
