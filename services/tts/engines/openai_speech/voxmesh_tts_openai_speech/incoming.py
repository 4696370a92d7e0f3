"""The audio of one answer as samples, while it arrives; what format it has shows in its first bytes.

bytes ──► Incoming ──► raw 16-bit samples, or a wav as it is written, or a whole flac, ogg or mp3 file
                         └─► mono at the engine's rate
"""

from __future__ import annotations

import io
import math
import re
import struct
from typing import Protocol

import numpy as np
import soundfile

from voxmesh_runtime.audio import AudioFormat, Encoding, ModelInput, Resampler, Samples
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.upstreams import ServerFailure

MAX_CLAUSE_S = 120.0
"""Longest audio of one request; a model that runs away never ends by itself."""
_MAX_FILE_BYTES = 16 * 1024 * 1024
_SNIFFED_BYTES = 64
_PAGE = re.compile(rb'\s*(?:<!doctype|<html|<\?xml|\{\s*"\w+"\s*:)', re.IGNORECASE)
_FILES = (b"fLaC", b"OggS", b"ID3")
_WAV_ENCODINGS = {(1, 16): Encoding.S16LE, (3, 32): Encoding.F32LE, (6, 8): Encoding.ALAW, (7, 8): Encoding.MULAW}
"""By tag and bits of a sample."""
_WAV_EXTENSIBLE = 0xFFFE
_WAV_UNKNOWN_FROM = 0x7FFF0000
"""Sizes from here on, like 0, are those of a writer who did not know."""
_WAV_MAX_HEAD_BYTES = 64 * 1024
_WAV_RATES = range(4000, 192001)
_WAV_CHANNELS = range(1, 9)
_EMPTY = np.zeros(0, np.float32)


class _Decoding(Protocol):
    source_hertz: int

    def feed(self, data: bytes) -> Samples: ...

    def end(self) -> Samples: ...


class Incoming:
    """Decodes one answer.

    Args:
        response_format: that was asked for; raw samples have no mark of their own.
        content_type: that the server names.
        pcm_hertz: rate of raw samples.
        target_hertz: rate to give; None leaves the answer's own.
    """

    def __init__(self, response_format: str, content_type: str, pcm_hertz: int, target_hertz: int | None) -> None:
        self._is_pcm = response_format == "pcm"
        self._is_mp3 = content_type.startswith(("audio/mp3", "audio/mpeg"))
        self._pcm_hertz = pcm_hertz
        self._target_hertz = target_hertz
        self._head = b""
        self._decoding: _Decoding | None = None
        self._given = 0

    @property
    def source_hertz(self) -> int:
        """The answer's own rate; 0 while nothing of it is known."""
        return self._decoding.source_hertz if self._decoding is not None else 0

    def feed(self, data: bytes) -> Samples:
        """Samples that are ready after `data`; may be empty.

        Raises:
            ServerFailure: it is no audio, or too much.
        """
        if self._decoding is not None:
            return self._checked(self._decoding, data)
        self._head += data
        return _EMPTY if len(self._head) < _SNIFFED_BYTES else self._begin()

    def end(self, *, is_whole: bool) -> Samples:
        """The last samples; empty if there was no audio at all.

        Args:
            is_whole: the transfer itself proved that nothing is missing.

        Raises:
            ServerFailure: the audio is damaged, or something is missing.
        """
        begun = self._begin() if self._decoding is None and self._head else _EMPTY
        if self._decoding is None:
            return _EMPTY
        if isinstance(self._decoding, _Wav) and not is_whole and self._decoding.is_short:
            raise ServerFailure("the audio broke off", is_transient=True)
        return np.concatenate([begun, self._decoding.end()])

    def _begin(self) -> Samples:
        self._decoding = self._chosen(self._head)
        return self._checked(self._decoding, self._head)

    def _chosen(self, head: bytes) -> _Decoding:
        if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
            return _Wav(self._target_hertz)
        if self._is_mp3 or head.startswith(_FILES):
            return _File(self._target_hertz)
        if _PAGE.match(head):
            raise ServerFailure("the server answered a page or JSON that is no audio")
        if not self._is_pcm:
            raise ServerFailure("the server answered audio of a format that is not known here")
        return _Raw(AudioFormat(Encoding.S16LE, self._pcm_hertz), self._target_hertz)

    def _checked(self, decoding: _Decoding, data: bytes) -> Samples:
        try:
            samples = decoding.feed(data)
        except InvalidArgument as error:
            # The runtime's decoder takes bytes for a caller's.
            raise ServerFailure(f"the server answered damaged audio: it {error.problem}") from None
        self._given += len(samples)
        if self._given > MAX_CLAUSE_S * (self._target_hertz or decoding.source_hertz or self._pcm_hertz):
            raise _too_long()
        return samples


class _Raw:
    """Frames that may be cut anywhere; half a frame at the end is no audio."""

    def __init__(self, audio_format: AudioFormat, target_hertz: int | None) -> None:
        self.source_hertz = audio_format.sample_rate_hertz
        limit = _MAX_FILE_BYTES
        self._input = ModelInput(audio_format, target_hertz or self.source_hertz, max_chunk_bytes=limit)
        self._frame_bytes = audio_format.bytes_per_frame
        self._rest = b""

    def feed(self, data: bytes) -> Samples:
        data = self._rest + data
        whole = len(data) - len(data) % self._frame_bytes
        self._rest = data[whole:]
        return self._input.feed(data[:whole]) if whole else _EMPTY

    def end(self) -> Samples:
        return self._input.flush()


class _Wav:
    """A wav whose header may have been written before its length was known."""

    def __init__(self, target_hertz: int | None) -> None:
        self.source_hertz = 0
        self._target_hertz = target_hertz
        self._head = b""
        self._frames: _Raw | None = None
        self._left = math.inf

    @property
    def is_short(self) -> bool:
        """Less came than the header says."""
        return self._frames is None or 0 < self._left < math.inf

    def feed(self, data: bytes) -> Samples:
        if self._frames is None:
            self._head += data
            data = self._after_head()
        if self._frames is None:
            return _EMPTY
        # Behind the samples there may be a chunk with a title.
        data = data[: int(min(self._left, len(data)))]
        self._left -= len(data)
        return self._frames.feed(data)

    def end(self) -> Samples:
        if self._frames is None:
            raise ServerFailure("the server answered a wav without samples")
        return self._frames.end()

    def _after_head(self) -> bytes:
        """The samples behind the header, once it is whole."""
        place, kind = 12, b""
        while len(self._head) >= place + 8:
            name, size = struct.unpack_from("<4sI", self._head, place)
            place += 8
            if name == b"data":
                self._frames = _Raw(self._format(kind), self._target_hertz)
                self._left = size if 0 < size < _WAV_UNKNOWN_FROM else math.inf
                return self._head[place:]
            if name == b"fmt ":
                kind = self._head[place : place + size]
            place += size + size % 2
        if max(len(self._head), place) > _WAV_MAX_HEAD_BYTES:
            raise ServerFailure("the server answered a wav whose header does not end")
        return b""

    def _format(self, kind: bytes) -> AudioFormat:
        try:
            tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", kind)
            if tag == _WAV_EXTENSIBLE:
                (tag,) = struct.unpack_from("<H", kind, 24)
        except struct.error:
            raise ServerFailure("the server answered a wav without a format") from None
        if (tag, bits) not in _WAV_ENCODINGS or rate not in _WAV_RATES or channels not in _WAV_CHANNELS:
            problem = f"kind {tag}, {bits} bits, {channels} channels, {rate} Hz"
            raise ServerFailure(f"the server answered a wav of a format that is not known here ({problem})")
        self.source_hertz = rate
        return AudioFormat(_WAV_ENCODINGS[tag, bits], rate, channels)


class _File:
    """A compressed file, which is decoded when it is whole."""

    def __init__(self, target_hertz: int | None) -> None:
        self.source_hertz = 0
        self._target_hertz = target_hertz
        self._data = bytearray()

    def feed(self, data: bytes) -> Samples:
        self._data += data
        if len(self._data) > _MAX_FILE_BYTES:
            raise ServerFailure(f"the server answered more than {_MAX_FILE_BYTES} bytes for one clause")
        return _EMPTY

    def end(self) -> Samples:
        try:
            with soundfile.SoundFile(io.BytesIO(self._data)) as file:
                most = round(MAX_CLAUSE_S * file.samplerate)
                frames, rate = file.read(most + 1, dtype="float32", always_2d=True), file.samplerate
        except soundfile.LibsndfileError as error:
            problem = f"the server answered audio that cannot be decoded ({error.error_string.rstrip('.')})"
            raise ServerFailure(problem) from None
        if len(frames) > most:
            raise _too_long()
        self.source_hertz = int(rate)
        resampler = Resampler(self.source_hertz, self._target_hertz or self.source_hertz)
        mono: Samples = np.clip(frames.mean(axis=1, dtype=np.float32), -1.0, 1.0)
        return np.concatenate([resampler.process(mono), resampler.flush()])


def _too_long() -> ServerFailure:
    return ServerFailure(f"the server answered more than {MAX_CLAUSE_S:g} s of audio for one clause")
