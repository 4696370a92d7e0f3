"""RapidOCR stage by stage, so that the first lines leave while the last are still to be read."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import rapidocr
from rapidocr.main import RapidOCRError

from voxmesh_vlm.engine import Picture, TextLine
from voxmesh_vlm.scripts import Found
from voxmesh_vlm_rapidocr.canvas import Box, Canvas, cut_out
from voxmesh_vlm_rapidocr.layout import reading_order, text_corners
from voxmesh_vlm_rapidocr.legibility import is_legible
from voxmesh_vlm_rapidocr.tiles import Stitch, spans_of

FLIP_CONFIDENCE = 0.9
LONGEST_LOOK = 12
"""Of a line's length, in heights, this much is looked at to tell whether it is upside down."""
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

    def read(self, index: int, picture: Picture) -> Generator[Found, None, None]:
        """The lines of a picture in reading order; of a tall one, piece by piece from its top."""
        for cut, boxes in self._parts(picture):
            crops, places = self._upright(cut, boxes)
            for step in _steps(reading_order(places)):
                found = self._ocr.recognize_txt([crops[place] for place in step])
                texts = found.txts or [""] * len(step)
                for place, text, score in zip(step, texts, found.scores or [0.0] * len(step), strict=True):
                    yield _found(index, text.strip(), crops[place], places[place], score)

    def _parts(self, picture: Picture) -> Iterator[tuple[list[Picture], list[Box]]]:
        """Cut-outs of lines, as they lie, and their boxes in pixels of the picture."""
        height, width = picture.shape[:2]
        spans = spans_of(height, width)
        if len(spans) == 1:
            yield self._detect(picture)
            return
        axis = 1 if height > width else 0
        stitch = Stitch(axis)
        kept: list[Box] = []
        for span, following in zip(spans, [*spans[1:], None], strict=True):
            piece = picture[span.begin : span.end] if axis else picture[:, span.begin : span.end]
            kept += stitch.add(span, self._detect(piece)[1], following)
            # Rows of a wide picture go through all of its pieces.
            if axis or following is None:
                yield [cut_out(picture, box) for box in kept], kept
                kept = []

    def _detect(self, picture: Picture) -> tuple[list[Picture], list[Box]]:
        canvas = Canvas.of(picture)
        try:
            cut, detected = self._ocr.detect_and_crop(canvas.pixels, {})
        except RapidOCRError:
            # Its way to say that there is no text.
            return [], []
        return cut, [canvas.original(box) for box in np.asarray(detected.boxes, np.float32)]

    def _upright(self, cut: list[Picture], boxes: list[Box]) -> tuple[list[Picture], list[Box]]:
        """The cut-outs upright, and their text corners."""
        if not cut:
            return [], []
        # The model squeezes what it gets into 4 times its height; a long line would be a smear.
        _, directions = self._ocr.cls_and_rotate([crop[:, : LONGEST_LOOK * crop.shape[0]] for crop in cut])
        flips = ["180" in label and score > FLIP_CONFIDENCE for label, score in directions.cls_res or ()]
        crops = [
            np.ascontiguousarray(np.rot90(crop, 2)) if flip else crop for crop, flip in zip(cut, flips, strict=True)
        ]
        return crops, [text_corners(box, upside_down=flip) for box, flip in zip(boxes, flips, strict=True)]


def _steps(order: Sequence[int]) -> Iterator[Sequence[int]]:
    for begin in range(0, len(order), LINES_A_STEP):
        yield order[begin : begin + LINES_A_STEP]


def _found(picture: int, text: str, crop: Picture, box: Box, score: float) -> Found:
    corners = tuple((float(x), float(y)) for x, y in box)
    line = TextLine(picture, text, corners, min(1.0, float(score)))
    is_read = is_legible(crop, text, score)
    return Found(line, crop.shape[1] / crop.shape[0], is_read, is_read)
