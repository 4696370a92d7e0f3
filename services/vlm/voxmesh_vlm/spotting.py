"""How language models that see are asked for lines of text with their places, and how their answer is read.

Qwen's models were taught to answer with a JSON list of boxes and texts; others come near it, or write plain lines.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from voxmesh_vlm.engine import TextLine

THOUSAND = 1000
"""Places in thousandths of the picture, as Qwen3-VL and later models tell them."""
_PROMPT = (
    "Spotting all the text in the image with line-level, and output in JSON format as "
    "[{'bbox_2d': [x1, y1, x2, y2], 'text_content': 'text'}, ...]."
)
_BOXES = ("bbox_2d", "bbox", "box", "box_2d", "bounding_box")
_TEXTS = ("text_content", "text", "content", "label")
_SIDES = 4
_PLACE = {"type": "integer", "minimum": 0, "maximum": 99_999}

SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            _BOXES[0]: {"type": "array", "items": _PLACE, "minItems": _SIDES, "maxItems": _SIDES},
            _TEXTS[0]: {"type": "string"},
        },
        "required": [_BOXES[0], _TEXTS[0]],
        "additionalProperties": False,
    },
}
"""What a model writes: left, top, right and bottom of each line, and what it says."""


def spotting_prompt(language_codes: Sequence[str] = ()) -> str:
    """What to say to a model for the lines of text in a picture, of these languages if any are named."""
    return f"{_PROMPT} The text is in: {', '.join(language_codes)}." if language_codes else _PROMPT


@dataclass(slots=True)
class LineReader:
    """Takes an answer in pieces cut anywhere; gives each line once it is whole.

    Args:
        picture: index of the picture in the request.
        width: of the picture as the model saw it, in pixels.
        height: the same.
        scale: what the model calls the whole width and height; None: its places are not to be trusted.
    """

    picture: int
    width: int
    height: int
    scale: tuple[float, float] | None = (THOUSAND, THOUSAND)
    _text: str = ""
    _has_list: bool = False
    _decoder: json.JSONDecoder = field(default_factory=json.JSONDecoder)

    def feed(self, text: str) -> list[TextLine]:
        """The lines that `text` completes, without those that say nothing."""
        self._text += text
        if not self._has_list:
            # Whatever a model says before its list, such as a fence.
            begin = self._text.find("[")
            if begin < 0:
                return []
            self._has_list, self._text = True, self._text[begin + 1 :]
        # Nothing in the list ends but by one of these, so most pieces are not worth a look.
        return self._items() if any(end in text for end in '}"') else []

    def end(self) -> list[TextLine]:
        """What is left at the end of an answer without a list: plain lines of text, of no place."""
        text, self._text = self._text, ""
        lines = [] if self._has_list else [line.strip() for line in text.splitlines()]
        return [TextLine(self.picture, line, ()) for line in lines if line and not line.startswith("```")]

    def _items(self) -> list[TextLine]:
        lines: list[TextLine] = []
        while (rest := self._text.lstrip(", \r\n\t"))[:1] in {"{", '"'}:
            try:
                value, end = self._decoder.raw_decode(rest)
            except (ValueError, RecursionError):
                break
            self._text = rest[end:]
            lines.append(self._line(value))
        return [line for line in lines if line.text]

    def _line(self, value: Any) -> TextLine:
        """A line of what stands for one in the list: an object, or its text alone."""
        if isinstance(value, str):
            return TextLine(self.picture, value.strip(), ())
        text = next((value[name] for name in _TEXTS if isinstance(value.get(name), str)), "")
        box = next((value[name] for name in _BOXES if name in value), None)
        return TextLine(self.picture, text.strip(), self._corners(box))

    def _corners(self, box: Any) -> tuple[tuple[float, float], ...]:
        is_box = isinstance(box, list) and len(box) == _SIDES and all(_is_number(side) for side in box)
        if not is_box or self.scale is None:
            return ()
        left, right = sorted(_share(box[side], self.scale[0]) * self.width for side in (0, 2))
        top, bottom = sorted(_share(box[side], self.scale[1]) * self.height for side in (1, 3))
        return ((left, top), (right, top), (right, bottom), (left, bottom))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _share(place: float, whole: float) -> float:
    return min(1.0, max(0.0, place / whole))
