"""Which models there are, and which of their files are needed."""

from __future__ import annotations

from voxmesh_runtime.models import Published

PUBLISHED = Published(
    "Qwen3-ASR",
    ("Qwen/Qwen3-ASR-0.6B", "Qwen/Qwen3-ASR-1.7B", "Qwen/Qwen3-ForcedAligner-0.6B"),
    "Apache-2.0",
    ("*.json", "*.safetensors", "*.txt", "*.jinja"),
)
