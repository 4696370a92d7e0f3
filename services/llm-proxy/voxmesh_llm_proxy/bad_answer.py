"""What a model wrote that nobody can use, and how it is told so when it is asked once more."""

from __future__ import annotations

import json
import re
from typing import Any

from voxmesh_runtime.errors import Unavailable
from voxmesh_runtime.schemas import Judge
from voxmesh_runtime.structs import Json

_FENCE = re.compile(r"```[a-zA-Z]*\s*\n?(.*?)(?:```|\Z)", re.DOTALL)
_MOST_TRIED = 64
"""Places of a bracket from which a value is tried to be read."""


class BadAnswer(Unavailable):
    """Another sample of the same model may well be right.

    Args:
        problem: in words for the caller; holds nothing that the model wrote.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}; send the generation again", retry_after_s=0.1)
        self.problem = problem


def judged_json(text: str, judge: Judge) -> str:
    """The JSON of an answer that must keep a schema, without fences and words around it.

    Raises:
        BadAnswer: there is none, or it breaks the schema.
    """
    whole = _loaded(text)
    values = [whole] if whole is not None else list(_values_in(text))
    faults = [judge.fault(value) for value in values]
    if not faults:
        raise BadAnswer("the model's answer holds no JSON")
    for value, fault in zip(values, faults, strict=True):
        if not fault:
            return text if value is whole else json.dumps(value, ensure_ascii=False)
    raise BadAnswer(f"the model's answer breaks its schema ({faults[0]})")


def repair_messages(bad: BadAnswer, wrote: str) -> list[Json]:
    """What is put behind a conversation so that the model writes its answer again."""
    said: list[Json] = [{"role": "assistant", "content": wrote}] if wrote.strip() else []
    order = f"That cannot be used: {bad.problem}. Write the whole answer again, in the form that was asked for, alone."
    return [*said, {"role": "user", "content": order}]


def schema_order(schema: Json) -> str:
    """What a model is told of a schema that its server does not keep for it."""
    text = json.dumps(schema, ensure_ascii=False)
    return f"Answer with one JSON value alone, without any other text, that keeps this JSON Schema: {text}"


def _values_in(text: str) -> list[Any]:
    fenced = [value for found in _FENCE.finditer(text) if (value := _loaded(found[1])) is not None]
    if fenced:
        return fenced
    decoder = json.JSONDecoder()
    for place in [found.start() for found in re.finditer(r"[{\[]", text)][:_MOST_TRIED]:
        try:
            return [decoder.raw_decode(text, place)[0]]
        except (ValueError, RecursionError):
            continue
    return []


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
