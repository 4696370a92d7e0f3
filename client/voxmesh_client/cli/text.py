"""`voxmesh generate`: text to text."""

from __future__ import annotations

from typing import Annotated

import typer

from voxmesh.llm.v1 import llm_pb2
from voxmesh_client.cli.console import (
    BasePortOption,
    JsonOption,
    TargetOption,
    err,
    input_text,
    print_json,
    run,
    settings_of,
    write_text,
)
from voxmesh_client.cli.show import first_line, print_options
from voxmesh_client.mesh import Mesh
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import LLM
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
