"""Help for tests: eyes behind the scripted server, which read with RapidOCR and write as a language model does."""

from __future__ import annotations

import json
import threading
from typing import Any

import rapidocr

from voxmesh_testing.http import Play
from voxmesh_vlm.engine import Picture
from voxmesh_vlm.spotting import THOUSAND, spotting_prompt
from voxmesh_vlm_openai_vision.testing import ChatRequest, writes

_PIECE_CHARACTERS = 7


class Eyes:
    """Reads what is asked for with the prompt of lines and places; to all else it says what is written, in words."""

    def __init__(self) -> None:
        settings: dict[str, Any] = {
            "Global.log_level": "critical",
            # It takes "apple" for a word on its head.
            "Global.use_cls": False,
            # Pictures in their own size: enlarged, dots of a picture in black and white become strokes.
            "Global.use_vertical_padding": False,
            "Det.limit_type": "min",
            "Det.limit_side_len": 32,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
        self._reader = rapidocr.RapidOCR(params=settings)
        # It keeps what it is at on itself, and the server answers on threads.
        self._lock = threading.Lock()

    def answer(self, request: ChatRequest) -> Play:
        """A model's answer, in pieces."""
        lines = [line for picture in request.pictures for line in self._lines(picture)]
        if request.text.startswith(spotting_prompt()):
            text = f"```json\n{json.dumps(lines)}\n```"
        elif "response_format" in request.fields:
            text = json.dumps({"words": " ".join(line["text_content"] for line in lines)})
        else:
            text = "It says: " + ", ".join(line["text_content"] for line in lines)
        pieces = [text[begin : begin + _PIECE_CHARACTERS] for begin in range(0, len(text), _PIECE_CHARACTERS)]
        limit: int = request.fields["max_tokens"]
        return writes(*pieces[:limit], finish="length" if len(pieces) > limit else "stop")

    def _lines(self, picture: Picture) -> list[dict[str, Any]]:
        height, width = picture.shape[:2]
        with self._lock:
            found: Any = self._reader(picture[:, :, ::-1].copy())
        if found.boxes is None:
            return []
        lines: list[dict[str, Any]] = []
        for box, text in zip(found.boxes, found.txts, strict=True):
            sides = (
                box[:, 0].min() / width,
                box[:, 1].min() / height,
                box[:, 0].max() / width,
                box[:, 1].max() / height,
            )
            lines.append({"bbox_2d": [round(float(side) * THOUSAND) for side in sides], "text_content": text})
        return lines
