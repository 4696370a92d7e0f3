"""Read a service's Dockerfile, and carry out its build stage below a folder, without a container engine.

`python tools/dockerfile.py turn FOLDER [ENGINE]` leaves the environment of the image in
FOLDER/opt/voxmesh: what an image will hold can be looked at, started and measured.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOT_IN_CONTEXT = shutil.ignore_patterns("tests", "bench", "__pycache__", "*.egg-info", "kustomization.yaml")


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """The instructions of a Dockerfile as (word, rest), and its arguments."""

    instructions: tuple[tuple[str, str], ...]
    arguments: dict[str, str]

    @classmethod
    def of(cls, service: str, root: Path = ROOT) -> Dockerfile:
        """Read the Dockerfile of a service, with its arguments' defaults."""
        text = (root / "services" / service / "Dockerfile").read_text()
        lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
        pairs = tuple((word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line))
        arguments: dict[str, str] = {}
        for name, _, value in (rest.partition("=") for word, rest in pairs if word == "ARG"):
            # A stage that only names an argument takes the default from before the first stage.
            arguments[name] = value or arguments.get(name, "")
        return cls(pairs, arguments)

    def all(self, word: str) -> list[str]:
        """What follows each `word`, with the arguments filled in."""
        return [self.filled(rest) for found, rest in self.instructions if found == word]

    def filled(self, text: str) -> str:
        """`text` with the arguments filled in."""
        for name, value in self.arguments.items():
            text = text.replace(f"${{{name}}}", value)
        return text

    def build_stage(self) -> list[tuple[str, str]]:
        """The instructions before the final image, with the arguments filled in."""
        last = max(number for number, (word, _) in enumerate(self.instructions) if word == "FROM")
        return [(word, self.filled(rest)) for word, rest in self.instructions[:last]]


def build(dockerfile: Dockerfile, folder: Path) -> Path:
    """Carry out the build stage with `folder` in the place of `/`; returns the environment it made.

    Raises:
        subprocess.CalledProcessError: a step failed.
    """
    source = folder / "src"
    source.mkdir(parents=True)
    for word, rest in dockerfile.build_stage():
        if word == "COPY":
            _copy(rest.split(), source)
        if word == "RUN":
            _run(rest, folder, source)
    return folder / "opt/voxmesh"


def _copy(words: list[str], folder: Path) -> None:
    *sources, target = words
    for path in (path for source in sources for path in sorted(ROOT.glob(source))):
        to = folder / target
        if path.is_dir():
            shutil.copytree(path, to, ignore=NOT_IN_CONTEXT)
        else:
            to = to / path.name if target.endswith("/") else to
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to)


def _run(command: str, folder: Path, source: Path) -> None:
    """One RUN line, with /opt below `folder` and this interpreter as that of the base image."""
    command = re.sub(r"(?<!\S)/opt/", f"{folder}/opt/", command)
    command = re.sub(r"^python3\b", sys.executable, command)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(["sh", "-ec", command], check=True, cwd=source, env=environment)


def main() -> None:
    """Build the service named on the command line."""
    service, folder, *engine = sys.argv[1:]
    dockerfile = Dockerfile.of(service)
    if engine:
        dockerfile = replace(dockerfile, arguments={**dockerfile.arguments, "ENGINE": engine[0]})
    print(build(dockerfile, Path(folder).resolve()))


if __name__ == "__main__":
    main()
