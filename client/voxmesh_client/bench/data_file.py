"""Files of data in TOML or JSON: the caller's own, or one that ships with the client, by its name."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from voxmesh_client.bench.problems import BenchUsage

Model = TypeVar("Model", bound=BaseModel)


def read_data(
    name: str, shipped: Path, model: type[Model], *, option: str = "", context: Any = None
) -> tuple[Model, Path]:
    """What a file holds, and its path.

    Args:
        name: a path, or the name of a file that ships, without its ending.
        shipped: folder of the files that ship.
        model: of the whole file.
        option: which named the file, such as "--gates", for messages.
        context: what validators of the model are given.

    Raises:
        BenchUsage: there is no such file, or it is wrong; the message names the place in it.
    """
    known = shipped / f"{name}.toml"
    path = known if known.is_file() else Path(name)
    said = f"{option} " if option else ""
    try:
        return model.model_validate(_parsed(path), context=context), path
    except OSError as error:
        names = ", ".join(sorted(each.stem for each in shipped.glob("*.toml")))
        raise BenchUsage(f"{said}{name}: {error.strerror}; give a file or one of: {names}") from None
    except ValidationError as error:
        raise BenchUsage(f"{said}{path}: {'; '.join(_problems(error))}") from None
    except ValueError as error:  # TOML, JSON or UTF-8
        raise BenchUsage(f"{said}{path}: is no {'JSON' if path.suffix == '.json' else 'TOML'}: {error}") from None


def _parsed(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else tomllib.loads(text)


def _problems(error: ValidationError) -> list[str]:
    """What is wrong in a file, each with its place."""
    return [f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in error.errors()]
