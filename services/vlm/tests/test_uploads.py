"""Chunks make files, in order and within limits."""

from __future__ import annotations

import pytest

from voxmesh.vlm.v1 import vlm_pb2
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_vlm.uploads import Uploads

pytestmark = pytest.mark.unit


def chunk(index: int, data: bytes) -> vlm_pb2.ImageChunk:
    return vlm_pb2.ImageChunk(image_index=index, data=data)


def test_chunks_of_a_picture_are_joined() -> None:
    uploads = Uploads(100)
    for index, data in ((0, b"a"), (0, b"b"), (1, b"c")):
        uploads.add(chunk(index, data))
    assert uploads.take() == (b"ab", b"c")


def test_after_taking_pictures_are_numbered_anew() -> None:
    uploads = Uploads(100)
    uploads.add(chunk(0, b"a"))
    uploads.take()
    uploads.add(chunk(0, b"b"))
    assert uploads.take() == (b"b",)


def test_taking_frees_the_room_of_what_was_taken() -> None:
    uploads = Uploads(10)
    for _ in range(3):
        uploads.add(chunk(0, b"x" * 10))
        uploads.take()


def test_one_byte_too_many_is_refused() -> None:
    uploads = Uploads(10)
    uploads.add(chunk(0, b"x" * 10))
    with pytest.raises(InvalidArgument, match="too large together"):
        uploads.add(chunk(1, b"x"))


def test_going_back_to_an_earlier_picture_is_refused() -> None:
    uploads = Uploads(10)
    uploads.add(chunk(0, b"x"))
    uploads.add(chunk(1, b"x"))
    with pytest.raises(InvalidArgument, match="out of order"):
        uploads.add(chunk(0, b"x"))


def test_nothing_to_take_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="no picture"):
        Uploads(10).take()
