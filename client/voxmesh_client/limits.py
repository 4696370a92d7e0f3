"""The contract's limits of one message: what is longer is sent in pieces, or refused before it is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import grpc

from voxmesh_client.errors import FieldViolation, MeshError
from voxmesh_runtime.audio import MAX_CHUNK_BYTES
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.refusals import check_count

_FRAMES_BYTES = 3360
"""Whole frames of 1 to 8 channels of samples of 1, 2 or 4 bytes."""
AUDIO_PIECE_BYTES = MAX_CHUNK_BYTES // _FRAMES_BYTES * _FRAMES_BYTES
"""Longest audio of one message that we send, whole frames of any format."""
TEXT_PIECE_CHARACTERS = 10_000
"""Longest text of one message to the voice."""
BATCH_TEXTS = 64
"""Texts of one batch; fewer than allowed, so that vectors come while others are still computed."""
BATCH_BYTES = 2 * 1024 * 1024
"""Texts of one batch in bytes: half of what a service takes in one message unless its operator decides otherwise."""


def check(service: str, field: str, count: int, most: int, *, least: int = 0, unit: str = "characters") -> None:
    """Refuse what the service would refuse, while the stream is still whole.

    Raises:
        MeshError: INVALID_ARGUMENT; names `field` and the limit.
    """
    try:
        check_count(field, count, most, least=least, unit=unit)
    except InvalidArgument as error:
        violation = FieldViolation(error.field, error.problem)
        raise MeshError(grpc.StatusCode.INVALID_ARGUMENT, error.message, service, violations=(violation,)) from None


def audio_pieces(audio: bytes) -> Iterator[bytes]:
    """Whole frames of any format, in messages that a service takes."""
    return (audio[start : start + AUDIO_PIECE_BYTES] for start in range(0, len(audio), AUDIO_PIECE_BYTES))


def text_pieces(text: str) -> Iterator[str]:
    """Text of any length, in messages that a voice takes."""
    return (text[start : start + TEXT_PIECE_CHARACTERS] for start in range(0, len(text), TEXT_PIECE_CHARACTERS))


def batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Any number of texts in order, in batches that fit a message in number and in bytes."""
    start = size = 0
    for index, text in enumerate(texts):
        added = len(text.encode("utf-8", "surrogatepass"))
        if index > start and (index - start == BATCH_TEXTS or size + added > BATCH_BYTES):
            yield texts[start:index]
            start, size = index, 0
        size += added
    if start < len(texts):
        yield texts[start:]
