"""`voxmesh generate` and `voxmesh embed`: text to text and text to vectors."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer
from rich.box import SIMPLE
from rich.table import Table

from voxmesh.common.v1 import common_pb2
from voxmesh.embed.v1 import embed_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh_client.cli.console import (
    BasePortOption,
    Failed,
    JsonOption,
    TargetOption,
    err,
    input_lines,
    input_text,
    out,
    print_json,
    run,
    settings_of,
    write_text,
)
from voxmesh_client.cli.show import first_line, options_dict, print_options
from voxmesh_client.mesh import Mesh
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import EMBED, LLM
from voxmesh_client.stream import kind_of

_INT32 = 2**31 - 1
_INT64 = 2**63 - 1


def generate(
    prompt: Annotated[str, typer.Argument(help="What to ask; - reads it from standard input.")],
    *,
    system: Annotated[str, typer.Option(help="System message.")] = "",
    model: Annotated[str, typer.Option(help="Model, as `voxmesh models` lists them.")] = "",
    temperature: Annotated[float | None, typer.Option(min=0, max=2, help="Randomness.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, max=_INT32, help="Longest answer in tokens.")] = None,
    seed: Annotated[int | None, typer.Option(min=-_INT64, max=_INT64, help="Seed for repeatable answers.")] = None,
    thinking: Annotated[bool, typer.Option("--thinking", help="Let the model think; thoughts go to stderr.")] = False,
    target: TargetOption = None,
    base_port: BasePortOption = None,
    json: JsonOption = False,
) -> None:
    """Print the language model's answer as it is written; --json prints a line for each piece.

    Examples:
      voxmesh generate "What is the capital of Japan?"
      voxmesh generate - --max-tokens 200 < question.txt
    """
    sampling = llm_pb2.Sampling(temperature=temperature, max_output_tokens=max_tokens, seed=seed)
    config = llm_pb2.GenerationConfig(model=model, sampling=sampling, thinking=thinking)
    messages = [llm_pb2.Message(role=llm_pb2.Message.ROLE_SYSTEM, text=system)] if system else []
    text = input_text() if prompt == "-" else prompt
    messages.append(llm_pb2.Message(role=llm_pb2.Message.ROLE_USER, text=text))
    run(_generate(settings_of(base_port, LLM, target), config, messages, json=json))


async def _generate(
    settings: MeshSettings, config: llm_pb2.GenerationConfig, messages: list[llm_pb2.Message], *, json: bool
) -> None:
    async with Mesh(settings) as mesh:
        on_ready = first_line(llm_pb2.StreamingGenerateResponse) if json else print_options
        async for response in mesh.language_model.generate(messages, config, on_ready=on_ready):
            if json:
                print_json(response)
            else:
                _print_piece(response)


def _print_piece(response: llm_pb2.StreamingGenerateResponse) -> None:
    match kind_of(response):
        case "text_delta":
            write_text(response.text_delta.text)
        case "reasoning_delta":
            err.print(response.reasoning_delta.text, end="", style="dim", markup=False)
        case "finished":
            write_text("\n")
            if response.finished.reason == llm_pb2.Finished.REASON_LENGTH:
                err.print("voxmesh: the answer reached its longest length; allow more with --max-tokens")
        case _:
            pass


def embed(
    texts: Annotated[list[str], typer.Argument(help="Texts; - reads one a line from standard input.")],
    *,
    dimensions: Annotated[int | None, typer.Option(min=1, max=_INT32, help="Length of the vectors.")] = None,
    query: Annotated[bool, typer.Option("--query", help="The texts are queries, not documents.")] = False,
    instruction: Annotated[str, typer.Option(help="What the queries are for.")] = "",
    target: TargetOption = None,
    base_port: BasePortOption = None,
    json: JsonOption = False,
) -> None:
    """Show how alike texts are; --json prints their vectors, a line for each text.

    Examples:
      voxmesh embed "a cat sleeps" "a kitten naps" "stocks fell"
      voxmesh embed - --json < lines.txt > vectors.jsonl
    """
    chosen = [line.rstrip("\n") for line in input_lines()] if texts == ["-"] else texts
    config = embed_pb2.EmbeddingConfig(dimensions=dimensions, instruction=instruction)
    kind = embed_pb2.TextBatch.KIND_QUERY if query else embed_pb2.TextBatch.KIND_DOCUMENT
    if not chosen:
        raise Failed("no text came on standard input; write one a line")
    embeddings, ready = run(_embed(settings_of(base_port, EMBED, target), chosen, config, kind))
    print_options(ready)
    if json:
        for text, embedding in zip(chosen, embeddings, strict=True):
            values = [round(value, 7) for value in embedding.values]
            print_json(
                {
                    "text": text,
                    "tokens": embedding.token_count,
                    "truncated": embedding.truncated,
                    "values": values,
                    **options_dict(ready),
                }
            )
    else:
        out.print(_similarities(chosen, embeddings))


async def _embed(
    settings: MeshSettings,
    texts: list[str],
    config: embed_pb2.EmbeddingConfig,
    kind: embed_pb2.TextBatch.Kind.ValueType,
) -> tuple[list[embed_pb2.Embedding], common_pb2.Ready]:
    ready = common_pb2.Ready()
    async with Mesh(settings) as mesh:
        return await mesh.embeddings.embed(texts, config, kind, on_ready=ready.CopyFrom), ready


def _similarities(texts: list[str], embeddings: list[embed_pb2.Embedding]) -> Table:
    """Cosine of every pair; the vectors have unit length."""
    vectors = np.array([embedding.values for embedding in embeddings], np.float32)
    cosines = vectors @ vectors.T
    title = f"cosine similarity, {vectors.shape[-1]} dimensions"
    grid = Table(title=title, title_justify="left", box=SIMPLE)
    for heading in ("", "text", "tokens", *map(str, range(1, len(texts) + 1))):
        grid.add_column(heading, justify="left" if heading == "text" else "right")
    for number, (text, embedding, row) in enumerate(zip(texts, embeddings, cosines, strict=True), 1):
        shown = text if len(text) <= 40 else f"{text[:39]}…"  # noqa: PLR2004 # what fits beside the numbers
        grid.add_row(str(number), _plain(shown), str(embedding.token_count), *(f"{value:.2f}" for value in row))
    return grid


def _plain(text: str) -> str:
    """Text whose brackets are no markup."""
    return text.replace("[", r"\[")
