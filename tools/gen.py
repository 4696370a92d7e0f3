"""Generate the Python stubs of `protos/`, or with --check prove that the committed ones are fresh."""

from __future__ import annotations

import filecmp
import shutil
import sys
import tempfile
from pathlib import Path

from distributions import ROOT
from grpc_tools import protoc

PROTOS = ROOT / "protos"
GENERATED = PROTOS / "gen" / "voxmesh"


def generate(target: Path) -> None:
    """Write the stubs of every proto file below `target`."""
    files = sorted(str(path) for path in (PROTOS / "voxmesh").rglob("*.proto"))
    include = Path(protoc.__file__).parent / "_proto"
    status = protoc.main(
        [
            "protoc",
            f"-I{PROTOS}",
            f"-I{include}",
            *(
                f"--plugin={name}={Path(sys.executable).parent / name}"
                for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
            ),
            f"--python_out={target}",
            f"--grpc_python_out={target}",
            f"--mypy_out=readable_stubs:{target}",
            f"--mypy_grpc_out=readable_stubs,only_async:{target}",
            *files,
        ],
    )
    if status != 0:
        sys.exit(status)


def stale(fresh: Path) -> list[str]:
    """Files that differ between `fresh` and the committed stubs."""
    new = {path.relative_to(fresh) for path in fresh.rglob("*.py*")}
    old = {path.relative_to(GENERATED) for path in GENERATED.rglob("*.py*") if "__pycache__" not in path.parts}
    changed = {name for name in new & old if not filecmp.cmp(fresh / name, GENERATED / name, shallow=False)}
    return sorted(map(str, (new ^ old) | changed))


def main() -> None:
    """Run the generator."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = Path(folder) / "voxmesh"
        (fresh / "py.typed").touch()
        if "--check" not in sys.argv:
            shutil.rmtree(GENERATED, ignore_errors=True)
            shutil.copytree(fresh, GENERATED)
        elif files := stale(fresh):
            sys.exit("stubs are stale, run `make gen`: " + ", ".join(files))


if __name__ == "__main__":
    main()
