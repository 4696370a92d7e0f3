"""The picture files of one stream, gathered from chunks until they are analysed."""

from __future__ import annotations

from voxmesh.vlm.v1 import vlm_pb2
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.refusals import check_count, check_range

MAX_CHUNK_BYTES = 1024 * 1024
MAX_IMAGE_BYTES = 16 * 1024 * 1024
MAX_IMAGES = 8


class Uploads:
    """Chunks in order: of picture 0, then of picture 1, and so on; `take` begins anew.

    Args:
        max_bytes: of all pictures of one analysis together.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._files: list[bytearray] = []

    def add(self, chunk: vlm_pb2.ImageChunk) -> None:
        """Append a chunk to its picture.

        Raises:
            InvalidArgument: the chunk, its picture or all together are too large, or a picture is skipped.
        """
        self._check_index(chunk.image_index)
        check_count("image_chunk.data", len(chunk.data), MAX_CHUNK_BYTES, least=1, unit="bytes")
        if chunk.image_index == len(self._files):
            self._files.append(bytearray())
        if len(self._files[-1]) + len(chunk.data) > MAX_IMAGE_BYTES:
            problem = f"picture {chunk.image_index} is too large; at most {MAX_IMAGE_BYTES} bytes"
            raise InvalidArgument("image_chunk.data", problem)
        if sum(map(len, self._files)) + len(chunk.data) > self._max_bytes:
            problem = f"the pictures of one analysis are too large together; at most {self._max_bytes} bytes"
            raise InvalidArgument("image_chunk.data", problem)
        self._files[-1].extend(chunk.data)

    def take(self) -> tuple[bytes, ...]:
        """The files, complete; the next chunk is of a new picture 0.

        Raises:
            InvalidArgument: there is none.
        """
        if not self._files:
            raise InvalidArgument("analyze", "no picture was sent; send image_chunk messages before it")
        files = tuple(bytes(file) for file in self._files)
        self._files = []
        return files

    def _check_index(self, index: int) -> None:
        last = len(self._files) - 1
        check_range("image_chunk.image_index", index, 0, MAX_IMAGES - 1)
        if index not in {last, last + 1}:
            allowed = f"{last} or {last + 1}" if last >= 0 else "0"
            problem = f"{index} is out of order; pictures are sent one after another, so {allowed} comes now"
            raise InvalidArgument("image_chunk.image_index", problem)
