"""Which model there is, which of its files are needed, and what all of its kind have in common."""

from __future__ import annotations

from voxmesh_runtime.models import Published

WEIGHTS = "model.safetensors"
VOCABULARY = "checkpoints/vocab.txt"
VOICES = "voices"

HERTZ = 24000
HOP_SAMPLES = 256
"""From one frame of a mel spectrum to the next."""
MELS = 100

PUBLISHED = Published(
    "IndicF5",
    ("ai4bharat/IndicF5",),
    "MIT",
    (WEIGHTS, VOCABULARY, f"{VOICES}/*"),
    needed=(WEIGHTS, VOCABULARY),
)
