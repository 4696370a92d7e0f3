"""Audio of a benchmark as files, to listen to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voxmesh_client.bench.voices.speaking import Spoken
from voxmesh_runtime.audio import write_wav


def keep(folder: Path, name: str, spoken: Sequence[Spoken]) -> None:
    """Write what a target spoke as `<name>-<number>.wav`, numbered in the order in which it was finished."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(spoken):
        if each.audio_s:
            write_wav(folder / f"{name.replace('/', '_')}-{number:02}.wav", each.samples, each.rate_hertz)
