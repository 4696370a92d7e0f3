"""C10: lists and blobs of any size are sent in messages that fit, or refused by name before they are sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import chain

import grpc
import pytest

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.vlm.v1 import vlm_pb2
from voxmesh_client import Mesh, MeshError, MeshSettings
from voxmesh_client.errors import FieldViolation
from voxmesh_client.limits import (
    AUDIO_PIECE_BYTES,
    BATCH_BYTES,
    BATCH_TEXTS,
    TEXT_PIECE_CHARACTERS,
    audio_pieces,
    batches,
    text_pieces,
)
from voxmesh_runtime.audio import MAX_CHUNK_BYTES
from voxmesh_runtime.server import running
from voxmesh_testing.toy import ToyService, ToySettings

pytestmark = pytest.mark.unit

TEXTS = {
    "none": [],
    "one": ["a"],
    "full": ["a"] * 64,
    "one more": ["a"] * 65,
    "C10 ascii": ["x" * 80_000] * 64,
    "C10 kn": ["ಕ" * 80_000] * 64,
    "C10 emoji": ["🙂" * 100_000] * 20,
    "C10 mixed": ["x" * (index * 5_000 + 1) for index in range(20)] * 10,
    "longer than a batch": ["a", "x" * (BATCH_BYTES + 1), "b"],
}


@pytest.mark.parametrize("name", TEXTS)
def test_batches_keep_the_order_and_fit_in_number_and_in_bytes(name: str) -> None:
    found = list(batches(TEXTS[name]))
    assert list(chain.from_iterable(found)) == TEXTS[name]
    assert all(1 <= len(batch) <= BATCH_TEXTS for batch in found)
    assert all(len(batch) == 1 or sum(len(text.encode()) for text in batch) <= BATCH_BYTES for batch in found)


def test_long_audio_and_text_are_cut_at_whole_frames_and_characters() -> None:
    audio = bytes(range(256)) * 1000
    pieces = list(audio_pieces(audio))
    assert b"".join(pieces) == audio
    assert max(map(len, pieces)) == AUDIO_PIECE_BYTES <= MAX_CHUNK_BYTES
    assert all(AUDIO_PIECE_BYTES % (size * channels) == 0 for size in (1, 2, 4) for channels in range(1, 9))
    text = "ಕನ್ನಡ" * 5_000
    assert "".join(text_pieces(text)) == text
    assert max(map(len, text_pieces(text))) == TEXT_PIECE_CHARACTERS


@asynccontextmanager
async def embedding() -> AsyncGenerator[tuple[Mesh, ToyService]]:
    """A mesh whose embeddings are the lengths of the texts; its server has the limits of every service."""
    settings = ToySettings()
    service = ToyService(settings)
    async with (
        running(service, settings) as server,
        Mesh(MeshSettings(embed_target=f"127.0.0.1:{server.port}")) as mesh,
    ):
        yield mesh, service


@pytest.mark.parametrize("letter", ["x", "ಕ"], ids=["C10-ascii", "C10-kn"])
async def test_c10_64_texts_of_80_000_characters_are_embedded(letter: str) -> None:
    texts = [letter * (80_000 - index) for index in range(64)]
    async with embedding() as (mesh, service):
        found = await mesh.embeddings.embed(texts)
    assert [embedding.values[0] for embedding in found] == [len(text) for text in texts]
    assert service.received > 1


async def wrong_text(mesh: Mesh) -> None:
    await mesh.embeddings.embed(["fine"] * 70 + ["x" * 100_001])


async def wrong_image(mesh: Mesh) -> None:
    async for _ in mesh.vision_language.analyze(bytes(16 * 1024 * 1024 + 1), vlm_pb2.Analyze()):
        pass


async def wrong_prompt(mesh: Mesh) -> None:
    async for _ in mesh.vision_language.analyze(b"x", vlm_pb2.Analyze(prompt="x" * 32_001)):
        pass


async def wrong_turn(mesh: Mesh) -> None:
    await mesh.conversation(conversation_pb2.ConversationConfig()).send_text("x" * 32_001)


async def wrong_picture(mesh: Mesh) -> None:
    await mesh.conversation(conversation_pb2.ConversationConfig()).send_image(bytes(8 * 1024 * 1024 + 1))


async def wrong_result(mesh: Mesh) -> None:
    result = conversation_pb2.ToolResult(call_id="a", content="x" * 200_001)
    await mesh.conversation(conversation_pb2.ConversationConfig()).send_tool_result(result)


@pytest.mark.parametrize(
    ("call", "field", "problem"),
    [
        (wrong_text, "texts[70]", "must have 1 to 100000 characters, not 100001"),
        (wrong_image, "image", "must have 1 to 16777216 bytes, not 16777217"),
        (wrong_prompt, "analyze.prompt", "must have at most 32000 characters, not 32001"),
        (wrong_turn, "text", "must have at most 32000 characters, not 32001"),
        (wrong_picture, "image.data", "must have 1 to 8388608 bytes, not 8388609"),
        (wrong_result, "tool_result.content", "must have at most 200000 characters, not 200001"),
    ],
)
async def test_c10_what_no_message_may_hold_is_refused_by_name_before_it_is_sent(
    call: Callable[[Mesh], Awaitable[None]], field: str, problem: str
) -> None:
    # No service is there: nothing is sent.
    async with Mesh(MeshSettings(connect_timeout_s=0.1)) as mesh:
        with pytest.raises(MeshError) as refused:
            await call(mesh)
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.violations == (FieldViolation(field, problem),)
    assert not refused.value.may_retry
