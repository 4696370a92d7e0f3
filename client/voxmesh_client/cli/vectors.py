"""`voxmesh embed` and `voxmesh rerank`: how alike texts are, and which of them answer a query."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from rich.box import SIMPLE
from rich.table import Table

from voxmesh.common.v1 import common_pb2
from voxmesh.embed.v1 import embed_pb2
from voxmesh_client.cli.console import (
    BasePortOption,
    Failed,
    JsonOption,
    TargetOption,
    input_lines,
    out,
    print_json,
    run,
    settings_of,
)
from voxmesh_client.cli.show import options_dict, print_options
from voxmesh_client.embeddings import vector_of
from voxmesh_client.mesh import Mesh
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import EMBED

_INT32 = 2**31 - 1
_SHOWN_CHARACTERS = 40


class Encoding(Enum):
    """How vectors are sent."""

    FLOAT = "float"
    INT8 = "int8"
    BINARY = "binary"

    @property
    def number(self) -> embed_pb2.EmbeddingConfig.Encoding.ValueType:
        """The contract's."""
        return embed_pb2.EmbeddingConfig.Encoding.Value(f"ENCODING_{self.name}")


def embed(
    texts: Annotated[list[str], typer.Argument(help="Texts; - reads one a line from standard input.")],
    *,
    dimensions: Annotated[int | None, typer.Option(min=1, max=_INT32, help="Length of the vectors.")] = None,
    query: Annotated[bool, typer.Option("--query", help="The texts are queries, not documents.")] = False,
    instruction: Annotated[str, typer.Option(help="What the queries are for.")] = "",
    encoding: Annotated[Encoding | None, typer.Option(help="How vectors are sent.", show_default=False)] = None,
    target: TargetOption = None,
    base_port: BasePortOption = None,
    json: JsonOption = False,
) -> None:
    """Show how alike texts are; --json prints their vectors, a line for each text.

    Examples:
      voxmesh embed "a cat sleeps" "a kitten naps" "stocks fell"
      voxmesh embed - --json < lines.txt > vectors.jsonl
    """
    chosen = _chosen(texts)
    sent = embed_pb2.EmbeddingConfig.ENCODING_UNSPECIFIED if encoding is None else encoding.number
    config = embed_pb2.EmbeddingConfig(dimensions=dimensions, instruction=instruction, encoding=sent)
    kind = embed_pb2.TextBatch.KIND_QUERY if query else embed_pb2.TextBatch.KIND_DOCUMENT
    embeddings, ready = run(_embed(settings_of(base_port, EMBED, target), chosen, config, kind))
    print_options(ready)
    if json:
        for text, embedding in zip(chosen, embeddings, strict=True):
            told = {"text": text, "tokens": embedding.token_count, "truncated": embedding.truncated}
            print_json({**told, **_values(embedding, sent), **options_dict(ready)})
    else:
        out.print(_similarities(chosen, embeddings, np.array([vector_of(each, sent) for each in embeddings])))


async def _embed(
    settings: MeshSettings,
    texts: list[str],
    config: embed_pb2.EmbeddingConfig,
    kind: embed_pb2.TextBatch.Kind.ValueType,
) -> tuple[list[embed_pb2.Embedding], common_pb2.Ready]:
    ready = common_pb2.Ready()
    async with Mesh(settings) as mesh:
        return await mesh.embeddings.embed(texts, config, kind, on_ready=ready.CopyFrom), ready


def _values(
    embedding: embed_pb2.Embedding, encoding: embed_pb2.EmbeddingConfig.Encoding.ValueType
) -> dict[str, list[float] | list[int] | str]:
    """The vector as it was sent: numbers, or bits in hexadecimal."""
    match encoding:
        case embed_pb2.EmbeddingConfig.ENCODING_INT8:
            return {"values": np.frombuffer(embedding.packed, np.int8).tolist()}
        case embed_pb2.EmbeddingConfig.ENCODING_BINARY:
            return {"bits": embedding.packed.hex()}
        case _:
            return {"values": [round(value, 7) for value in embedding.values]}


def _similarities(texts: list[str], embeddings: list[embed_pb2.Embedding], vectors: npt.NDArray[np.float32]) -> Table:
    """Cosine of every pair; the vectors have unit length."""
    cosines = vectors @ vectors.T
    title = f"cosine similarity, {vectors.shape[-1]} dimensions"
    grid = Table(title=title, title_justify="left", box=SIMPLE)
    for heading in ("", "text", "tokens", *map(str, range(1, len(texts) + 1))):
        grid.add_column(heading, justify="left" if heading == "text" else "right")
    for number, (text, embedding, row) in enumerate(zip(texts, embeddings, cosines, strict=True), 1):
        grid.add_row(str(number), _shown(text), str(embedding.token_count), *(f"{value:.2f}" for value in row))
    return grid


def rerank(
    query: Annotated[str, typer.Argument(help="What is looked for.")],
    documents: Annotated[list[str], typer.Argument(help="Documents; - reads one a line from standard input.")],
    *,
    top: Annotated[int | None, typer.Option(min=1, max=_INT32, help="Show so many of the best alone.")] = None,
    instruction: Annotated[str, typer.Option(help="What makes a document a good answer.")] = "",
    target: TargetOption = None,
    base_port: BasePortOption = None,
    json: JsonOption = False,
) -> None:
    """Show which documents answer a query, the best first; --json prints a line for each document.

    It needs a service whose engine ranks, such as cross_encoder or qwen_reranker; name it with --target.

    Examples:
      voxmesh rerank "capital of France" "Paris is the capital." "Cats sleep." --target host:50057
      voxmesh rerank "capital of France" - --top 3 --json < lines.txt
    """
    chosen = _chosen(documents)
    config = embed_pb2.RerankConfig(instruction=instruction)
    ranked, ready = run(_rerank(settings_of(base_port, EMBED, target), query, chosen, config, top))
    print_options(ready)
    if json:
        for document in ranked:
            index = document.document_index
            told = {"text": chosen[index], "index": index, "score": round(document.score, 7)}
            rest = {"tokens": document.token_count, "truncated": document.truncated}
            print_json({**told, **rest, **options_dict(ready)})
    else:
        out.print(_ranking(chosen, ranked))


async def _rerank(
    settings: MeshSettings, query: str, documents: list[str], config: embed_pb2.RerankConfig, top: int | None
) -> tuple[list[embed_pb2.RankedDocument], common_pb2.Ready]:
    ready = common_pb2.Ready()
    async with Mesh(settings) as mesh:
        return await mesh.embeddings.rerank(query, documents, config, top_n=top, on_ready=ready.CopyFrom), ready


def _ranking(documents: list[str], ranked: list[embed_pb2.RankedDocument]) -> Table:
    grid = Table(title="score, 1 is best", title_justify="left", box=SIMPLE)
    for heading in ("", "text", "tokens", "score"):
        grid.add_column(heading, justify="left" if heading == "text" else "right")
    for document in ranked:
        index = document.document_index
        grid.add_row(str(index + 1), _shown(documents[index]), str(document.token_count), f"{document.score:.4f}")
    return grid


def _chosen(texts: list[str]) -> list[str]:
    """The texts of the command line, or the lines of standard input."""
    chosen = [line.rstrip("\n") for line in input_lines()] if texts == ["-"] else texts
    if not chosen:
        raise Failed("no text came on standard input; write one a line")
    return chosen


def _shown(text: str) -> str:
    """What fits beside the numbers; its brackets are no markup."""
    shown = text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
    return shown.replace("[", r"\[")
