"""RapidOCR stage by stage, so that the first lines leave while the last are still to be read."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import cv2
import numpy as np
import rapidocr
from rapidocr.main import RapidOCRError

from voxmesh_vlm.engine import Picture, TextLine
from voxmesh_vlm_rapidocr.canvas import Box, Canvas
from voxmesh_vlm_rapidocr.layout import reading_order, text_corners

LEAST_CONFIDENCE = 0.5
"""What is read with less is no text, most of the time."""
FLIP_CONFIDENCE = 0.9
LINES_A_STEP = 6
"""Lines that are read together; the model's own batch."""
DETECTION, DIRECTION, RECOGNITION = (
    "PP-OCRv6_det_small.onnx",
    "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "PP-OCRv6_rec_small.onnx",
)


class Reader:
    """The three models of the package: where text is, whether it is upside down, what it says."""

    def __init__(self, threads: int) -> None:
        # More than the host has would be taken as "all of them".
        threads = min(threads, os.cpu_count() or 1)
        cv2.setNumThreads(threads)
        folder = Path(rapidocr.__file__).parent / "models"
        self._ocr = rapidocr.RapidOCR(
            params={
                "Global.log_level": "critical",
                # Sizes are our own matter: RapidOCR's lose the scale of very thin pictures, or refuse them.
                "Global.use_vertical_padding": False,
                "Det.limit_type": "min",
                "Det.limit_side_len": 32,
                # A path that is set is never downloaded, here or later.
                "Det.model_path": str(folder / DETECTION),
                "Cls.model_path": str(folder / DIRECTION),
                "Rec.model_path": str(folder / RECOGNITION),
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def read(self, index: int, picture: Picture) -> Generator[TextLine, None, None]:
        """The lines of a picture in reading order."""
        canvas = Canvas.of(picture)
        crops, boxes = self._lines(canvas)
        order = reading_order(boxes)
        for begin in range(0, len(order), LINES_A_STEP):
            places = order[begin : begin + LINES_A_STEP]
            found = self._ocr.recognize_txt([crops[place] for place in places])
            for place, text, score in zip(places, found.txts or (), found.scores, strict=True):
                if text.strip() and score >= LEAST_CONFIDENCE:
                    yield _line(index, text.strip(), canvas.original(boxes[place]), score)

    def _lines(self, canvas: Canvas) -> tuple[list[Picture], list[Box]]:
        """The cut-outs of all lines, upright, and their text corners on the canvas."""
        try:
            cut, detected = self._ocr.detect_and_crop(canvas.pixels, {})
        except RapidOCRError:
            # Its way to say that there is no text.
            return [], []
        crops, directions = self._ocr.cls_and_rotate(cut)
        boxes: list[Box] = []
        for box, (label, score) in zip(np.asarray(detected.boxes, np.float32), directions.cls_res or (), strict=True):
            upside_down = "180" in label and score > FLIP_CONFIDENCE
            boxes.append(text_corners(box, upside_down=upside_down))
        return crops, boxes


def _line(picture: int, text: str, box: Box, score: float) -> TextLine:
    corners = tuple((float(x), float(y)) for x, y in box)
    return TextLine(picture, text, corners, min(1.0, float(score)))
