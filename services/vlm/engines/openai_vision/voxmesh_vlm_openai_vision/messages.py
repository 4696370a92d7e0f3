"""What the server is asked: pictures as data in a message of a user, and what to do with them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

from PIL import Image

from voxmesh_vlm.engine import AnalysisRequest, Picture
from voxmesh_vlm.wording import answer_text

Json = dict[str, Any]

_MOST_PNG_BYTES = 4 * 1024 * 1024
"""A picture that is larger without loss is a photograph, and goes as JPEG."""
_JPEG_QUALITY = 92


@dataclass(frozen=True, slots=True)
class Question:
    """One request."""

    messages: tuple[Json, ...]
    max_tokens: int
    schema: Json | None = None
    """JSON Schema of the answer; None for free text."""
    is_exact: bool = False
    """What is there is wanted, not what the model makes of it: no chance in the choice of words."""

    def again(self, answer: str, problem: str) -> Question:
        """The same question after an answer that does not do."""
        told = f"That does not do: {problem}. Answer again, with JSON alone that satisfies the schema."
        turns = ({"role": "assistant", "content": answer}, {"role": "user", "content": told})
        return replace(self, messages=(*self.messages, *turns))


def question(request: AnalysisRequest, max_pixels: int) -> Question:
    """What to ask for an answer."""
    shown = _shown(request.pictures, request.frame_interval_s, max_pixels)
    schema = request.response_schema
    turn = _turn(*shown, _said(answer_text(request)))
    return Question((turn,), request.max_output_tokens, schema, is_exact=schema is not None)


def reading(text: str, picture: Picture, max_tokens: int, max_pixels: int, schema: Json | None = None) -> Question:
    """What to ask for what is written in a picture."""
    turn = _turn(*_shown([picture], None, max_pixels), _said(text))
    return Question((turn,), max_tokens, schema, is_exact=True)


def sent_size(width: int, height: int, max_pixels: int) -> tuple[int, int]:
    """Width and height in which a picture is sent."""
    scale = min(1.0, sqrt(max_pixels / (width * height)))
    sent_width = max(1, int(width * scale))
    # Of a thread that is one pixel wide, only the length can give.
    sent_height = max(1, min(int(height * scale), max_pixels // sent_width))
    return min(sent_width, max_pixels // sent_height), sent_height


def data_url(picture: Picture, max_pixels: int) -> str:
    """A picture as every server takes it: PNG, or JPEG where that would be long."""
    image = Image.fromarray(picture)
    size = sent_size(image.width, image.height, max_pixels)
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    kind, data = "png", _file(image, "PNG", compress_level=1)
    if len(data) > _MOST_PNG_BYTES:
        kind, data = "jpeg", _file(image, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _shown(pictures: Sequence[Picture], interval_s: float | None, max_pixels: int) -> list[Json]:
    parts: list[Json] = []
    for index, picture in enumerate(pictures):
        if interval_s is not None:
            # Few servers take videos, all take pictures: each frame stands after its time.
            parts.append(_said(f"<{index * interval_s:.1f} seconds>"))
        parts.append({"type": "image_url", "image_url": {"url": data_url(picture, max_pixels)}})
    return parts


def _said(text: str) -> Json:
    return {"type": "text", "text": text}


def _turn(*parts: Json) -> Json:
    return {"role": "user", "content": list(parts)}


def _file(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
