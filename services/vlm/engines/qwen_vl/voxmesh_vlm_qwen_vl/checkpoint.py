"""Which models there are, and which of their files are needed."""

from __future__ import annotations

import json
from pathlib import Path

from voxmesh_runtime.models import Published

ARCHITECTURE = "qwen3_vl"


def _problem(folder: Path) -> str:
    try:
        kind = json.loads((folder / "config.json").read_text("utf-8")).get("model_type")
    except (ValueError, AttributeError):
        return "has a config.json that cannot be read"
    return "" if kind == ARCHITECTURE else f"is a model of type {kind}"


PUBLISHED = Published(
    "Qwen3-VL",
    ("Qwen/Qwen3-VL-2B-Instruct", "Qwen/Qwen3-VL-4B-Instruct", "Qwen/Qwen3-VL-8B-Instruct"),
    "Apache-2.0",
    ("*.json", "*.safetensors", "*.txt", "*.jinja"),
    problem=_problem,
)
