"""What options of several benchmarks mean, checked before anything starts."""

from __future__ import annotations

from collections.abc import Sequence

from voxmesh_client.bench.gate_file import Gates, read_gates
from voxmesh_client.bench.problems import BenchUsage
from voxmesh_client.bench.targets import Target


def counts(option: str, text: str, most: int) -> list[int]:
    """Numbers separated by commas, each once, such as streams at once.

    Raises:
        BenchUsage: it holds anything but numbers from 1 to `most`.
    """
    pieces = [piece.strip() for piece in text.split(",")]
    if not all(piece.isdecimal() and 1 <= int(piece) <= most for piece in pieces):
        raise BenchUsage(f"{option} {text}: must be numbers from 1 to {most}, separated by commas")
    return list(dict.fromkeys(map(int, pieces)))


def gates_and_baseline(
    gates: str | None, baseline: str | None, targets: Sequence[Target], metrics: Sequence[str]
) -> tuple[Gates | None, str]:
    """The gates of a file, if one is named, and the target that others are compared with.

    Raises:
        BenchUsage: the file is wrong, the baseline is no target, or there is nothing to compare with it.
    """
    names = [target.name for target in targets]
    chosen = baseline or names[0]
    if chosen not in names:
        raise BenchUsage(f"--baseline {baseline}: is none of the targets: {', '.join(names)}")
    read = None if gates is None else read_gates(gates, metrics)
    if read is not None and read.needs_baseline and len(names) == 1:
        raise BenchUsage(f"--gates {gates}: compares with a baseline; give a second --engine or --target")
    return read, chosen
