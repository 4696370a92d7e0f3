"""What of a server's answer is for the caller: its words without thoughts and marks, and the JSON in them."""

from __future__ import annotations

import json
import re
from typing import Any

from voxmesh_runtime.chat.events import Event
from voxmesh_runtime.chat.surrogates import SurrogateJoiner
from voxmesh_runtime.chat.thinking import Piece, ThinkingSplitter
from voxmesh_runtime.control_tokens import ControlTokenFilter

_FENCE = re.compile(r"```[a-zA-Z]*\s*\n?(.*?)(?:```|\Z)", re.DOTALL)
_MOST_TRIED = 64
"""Places of a brace from which an object is tried to be read."""
_CUTS = frozenset({"length", "max_tokens", "model_length", "max_output_tokens", "max_completion_tokens", "token_limit"})


class Words:
    """Takes the events of one answer; gives its text.

    Args:
        begins_with_thoughts: the server's template opens thoughts that only their end tells.
    """

    def __init__(self, *, begins_with_thoughts: bool = False) -> None:
        self._halves = SurrogateJoiner()
        self.splitter = ThinkingSplitter(begins_with_thoughts=begins_with_thoughts)
        self._marks = ControlTokenFilter()
        self.is_cut = False
        """The limit of tokens ended the answer."""

    def feed(self, event: Event) -> str:
        """What is certain after an event."""
        self.is_cut = self.is_cut or event.finish in _CUTS
        pieces = self.splitter.no_thoughts() if event.reasoning else []
        pieces += self.splitter.feed(self._halves.feed(event.text))
        return self._marks.feed(_said(pieces))

    def end(self) -> str:
        """What is left."""
        pieces = [*self.splitter.feed(self._halves.flush()), *self.splitter.flush(is_cut=self.is_cut)]
        return self._marks.feed(_said(pieces)) + self._marks.flush()


def object_in(text: str) -> dict[str, Any] | None:
    """The JSON object of an answer, which may stand in a fence or among words; None if there is none."""
    candidates = [text, *(match[1] for match in _FENCE.finditer(text))]
    for candidate in candidates:
        value = _loaded(candidate)
        if isinstance(value, dict):
            return value
    return _object_among_words(text)


def _object_among_words(text: str) -> dict[str, Any] | None:
    decoder, begin = json.JSONDecoder(), -1
    for _ in range(_MOST_TRIED):
        begin = text.find("{", begin + 1)
        if begin < 0:
            break
        try:
            return decoder.raw_decode(text, begin)[0]
        except (ValueError, RecursionError):
            continue
    return None


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _said(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces if not piece.is_thought)
