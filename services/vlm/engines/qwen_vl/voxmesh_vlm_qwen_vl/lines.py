"""Lines of text with their places, read from the model's JSON while it is written."""

from __future__ import annotations

import json
from typing import Any

from voxmesh_vlm.engine import TextLine

_BOX, _TEXT = "bbox_2d", "text_content"
THOUSAND = 1000
"""The model tells places in thousandths of the picture."""
_PLACE = {"type": "integer", "minimum": 0, "maximum": THOUSAND}

SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            _BOX: {"type": "array", "items": _PLACE, "minItems": 4, "maxItems": 4},
            _TEXT: {"type": "string"},
        },
        "required": [_BOX, _TEXT],
        "additionalProperties": False,
    },
}
"""What the model writes: left, top, right and bottom of each line, and what it says."""


class LineReader:
    """Takes an answer by `SCHEMA` in pieces cut anywhere; gives each line once it is whole.

    Args:
        picture: index of the picture in the request.
        width: of the picture as the model saw it, in pixels.
        height: the same.
    """

    def __init__(self, picture: int, width: int, height: int) -> None:
        self._picture = picture
        self._size = (width, height)
        self._decoder = json.JSONDecoder()
        self._text = ""

    def feed(self, text: str) -> list[TextLine]:
        """The lines that `text` completes, without those that say nothing."""
        self._text = (self._text + text).lstrip("[, \n\t")
        lines: list[TextLine] = []
        # An object cannot end but by a brace, so most pieces are not worth a look.
        while "}" in text and self._text.startswith("{"):
            try:
                value, end = self._decoder.raw_decode(self._text)
            except ValueError:
                break
            self._text = self._text[end:].lstrip(", \n\t")
            lines.append(self._line(value))
        return [line for line in lines if line.text]

    def _line(self, value: dict[str, Any]) -> TextLine:
        (left, right), (top, bottom) = (
            sorted(value[_BOX][axis + end] / THOUSAND * self._size[axis] for end in (0, 2)) for axis in (0, 1)
        )
        corners = ((left, top), (right, top), (right, bottom), (left, bottom))
        return TextLine(self._picture, value[_TEXT].strip(), corners)
