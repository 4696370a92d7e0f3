"""`voxmesh read`: the text in a picture, or an answer about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format

from voxmesh.vlm.v1 import vlm_pb2
from voxmesh_client.cli.console import (
    BasePortOption,
    Failed,
    JsonOption,
    TargetOption,
    out,
    print_json,
    read_bytes,
    run,
    settings_of,
    write_text,
)
from voxmesh_client.cli.show import first_line, print_options
from voxmesh_client.mesh import Mesh
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import VLM
from voxmesh_client.stream import kind_of
from voxmesh_runtime.structs import plain


def read(
    image: Annotated[Path, typer.Argument(help="PNG, JPEG or WebP file.")],
    *,
    prompt: Annotated[
        str | None, typer.Option(help="Ask about the picture instead of reading its text, where the engine can answer.")
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(help="JSON Schema of an object: print data from the picture that satisfies it."),
    ] = None,
    boxes: Annotated[bool, typer.Option("--boxes", help="Print where each line is, in pixels.")] = False,
    target: TargetOption = None,
    base_port: BasePortOption = None,
    json: JsonOption = False,
) -> None:
    """Print the lines of text in a picture; --json prints one message a line.

    Examples:
      voxmesh read receipt.png
      voxmesh read sign.jpg --boxes
      voxmesh read invoice.png --schema invoice.schema.json
    """
    reads = prompt is None and schema is None
    task = vlm_pb2.Analyze.TASK_READ_TEXT if reads else vlm_pb2.Analyze.TASK_ANSWER
    analysis = vlm_pb2.Analyze(task=task, prompt=prompt or "")
    if schema is not None:
        _set_schema(analysis, schema)
    data = read_bytes(image)
    run(_read(settings_of(base_port, VLM, target), data, analysis, boxes=boxes, json=json))
    if prompt is not None and schema is None and not json:
        write_text("\n")


def _set_schema(analysis: vlm_pb2.Analyze, path: Path) -> None:
    try:
        json_format.Parse(read_bytes(path), analysis.response_schema)
    except json_format.ParseError as error:
        raise Failed(f"{path}: is no JSON object ({error}); name a file with a JSON Schema") from None


async def _read(settings: MeshSettings, data: bytes, analysis: vlm_pb2.Analyze, *, boxes: bool, json: bool) -> None:
    async with Mesh(settings) as mesh:
        on_ready = first_line(vlm_pb2.StreamingAnalyzeResponse) if json else print_options
        async for response in mesh.vision_language.analyze(data, analysis, on_ready=on_ready):
            if json:
                print_json(response)
            else:
                _print_piece(response, boxes=boxes)


def _print_piece(response: vlm_pb2.StreamingAnalyzeResponse, *, boxes: bool) -> None:
    match kind_of(response):
        case "text_line":
            line = response.text_line
            corners = " ".join(f"{corner.x:.0f},{corner.y:.0f}" for corner in line.corners) or "-"
            out.print(f"{corners}  {line.text}" if boxes else line.text, markup=False)
        case "structured_result":
            out.print_json(data=plain(response.structured_result.value))
        case "text_delta":
            write_text(response.text_delta.text)
        case "finished":
            if response.finished.truncated:
                write_text("…")
        case _:
            pass
