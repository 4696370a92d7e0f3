"""Tesseract step by step: which way a page lies, where its lines are, and then line by line what they say."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tesserocr
from PIL import Image
from tesserocr import PSM, PT, RIL, PyTessBaseAPI

from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_vlm.engine import TextLine
from voxmesh_vlm.scripts import Found
from voxmesh_vlm_tesseract.page import Box, Page
from voxmesh_vlm_tesseract.tessdata import ORIENTATION, SCRIPTS, SUFFIX

TRUSTED = 0.65
"""Confidence of a line that is taken for read; what is made of another script has less, but for a few lines."""
SURE_OF_ORIENTATION = 0.5
"""Tesseract says 0.3 and less of words that lie upright, and more of most that do not."""
MARGIN = 4
"""Pixels around a line that are looked at too."""
SMALL_LINE = 24
"""Pixels; where all lines are lower, letters get lost, and a page that lies upright seems to stand on its head."""
MAX_DOUBLINGS = 2
STEEPEST, FLATTEST = 5.0, 0.3
"""Degrees of a page's slope that is straightened."""
MAX_READERS = 3
"""Sets of languages that stay loaded."""
_PICTURES = {PT.FLOWING_IMAGE, PT.HEADING_IMAGE, PT.PULLOUT_IMAGE, PT.HORZ_LINE, PT.VERT_LINE, PT.NOISE}


@dataclass(frozen=True, slots=True)
class Glance:
    """What a first look at a page tells."""

    turn: int
    """Degrees, counterclockwise, after which the page is upright."""
    is_sure: bool
    """The turn is right; else the page may as well lie upright."""
    script: str
    """ISO 15924; empty where too few letters tell it. Of a word or two it is often wrong."""


class Reader:
    """Tesseract with the data of a folder that is made of links to files from several.

    Args:
        files: by the names of what they read.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        tesserocr.set_leptonica_log_level(tesserocr.LeptLogLevel.NONE)
        self._folder = tempfile.TemporaryDirectory(prefix="voxmesh-tessdata-")
        for name, file in files.items():
            (Path(self._folder.name) / f"{name}{SUFFIX}").symlink_to(file.absolute())
        try:
            self._orientation = self._api(ORIENTATION, PSM.OSD_ONLY)
        except FailedPrecondition:
            self._folder.cleanup()
            raise
        # Far fewer letters than it wants tell the way of a receipt.
        self._orientation.SetVariable("min_characters_to_try", "5")
        self._apis: dict[tuple[str, ...], PyTessBaseAPI] = {}

    def sized(self, page: Page, names: tuple[str, ...]) -> Page:
        """The page enlarged until its lines are high enough."""
        for _ in range(MAX_DOUBLINGS):
            boxes, _ = self._layout(page, names)
            # A page that lies on its side has upright lines.
            heights = [min(right - left, bottom - top) for left, top, right, bottom in boxes]
            if not heights or max(heights) >= SMALL_LINE or not page.can_grow:
                break
            page = page.doubled()
        return page

    def glance(self, page: Page) -> Glance:
        """Look at a page as a whole."""
        self._orientation.SetImage(page.image)
        found = self._orientation.DetectOrientationScript()
        if not found:
            return Glance(0, is_sure=True, script="")
        turn, is_sure = found["orient_deg"], found["orient_conf"] >= SURE_OF_ORIENTATION
        return Glance(turn, is_sure=is_sure, script=SCRIPTS.get(found["script_name"], ""))

    def lines(self, index: int, page: Page, names: tuple[str, ...], sure: float) -> Iterator[Found]:
        """The lines of an upright page in the order of reading, each word read by the language that fits.

        Args:
            index: of the picture.
            page: of it.
            names: of the languages' data.
            sure: confidence, from 0 to 1, that proves a line to be in a script of the data.
        """
        straight, boxes = self._straight(page, names)
        for box in boxes:
            text, confidence = self._read(straight.cut_out(box, MARGIN), names)
            line = TextLine(index, text, straight.corners(box), confidence)
            left, top, right, bottom = box
            is_legible = bool(text) and confidence >= TRUSTED
            yield Found(line, (right - left) / (bottom - top), is_legible, is_legible and confidence >= sure)

    def close(self) -> None:
        """Free all of it."""
        for api in (self._orientation, *self._apis.values()):
            api.End()
        self._apis.clear()
        self._folder.cleanup()

    def _straight(self, page: Page, names: tuple[str, ...]) -> tuple[Page, list[Box]]:
        """The page without its slope, and the boxes of its lines."""
        boxes, slopes = self._layout(page, names)
        slope = float(np.median(slopes)) if slopes else 0.0
        # A few wild ones are of scripts whose letters hang; one line tells nothing.
        agree = [each for each in slopes if abs(each - slope) < FLATTEST]
        if len(agree) <= max(1, len(slopes) / 2) or not FLATTEST < abs(slope) <= STEEPEST:
            return page, boxes
        straight = page.straightened(slope)
        return straight, self._layout(straight, names)[0]

    def _read(self, line: Image.Image, names: tuple[str, ...]) -> tuple[str, float]:
        """The text of a line's picture and its confidence, from 0 to 1."""
        api = self._loaded(names)
        api.SetPageSegMode(PSM.RAW_LINE)
        # Each line is a picture of its own, for those of other streams come between.
        api.SetImage(line)
        api.Recognize()
        return " ".join(api.GetUTF8Text().split()), api.MeanTextConf() / 100

    def _layout(self, page: Page, names: tuple[str, ...]) -> tuple[list[Box], list[float]]:
        """The boxes of the lines, and the slopes in degrees of those that have a baseline."""
        api = self._loaded(names)
        api.SetPageSegMode(PSM.AUTO)
        api.SetImage(page.image)
        found = api.AnalyseLayout()
        boxes: list[Box] = []
        slopes: list[float] = []
        for line in tesserocr.iterate_level(found, RIL.TEXTLINE) if found else ():
            box, baseline = line.BoundingBox(RIL.TEXTLINE), line.Baseline(RIL.TEXTLINE)
            if not box or line.BlockType() in _PICTURES:
                continue
            boxes.append(box)
            if baseline:
                (left, begin), (right, end) = baseline
                slopes.append(math.degrees(math.atan2(end - begin, right - left)))
        return boxes, slopes

    def _loaded(self, names: tuple[str, ...]) -> PyTessBaseAPI:
        api = self._apis.pop(names, None) or self._api("+".join(names), PSM.AUTO)
        self._apis[names] = api
        if len(self._apis) > MAX_READERS:
            self._apis.pop(next(iter(self._apis))).End()
        return api

    def _api(self, names: str, mode: PSM) -> PyTessBaseAPI:
        try:
            return PyTessBaseAPI(path=self._folder.name, lang=names, psm=mode)
        except RuntimeError as error:
            problem = f"Tesseract cannot load the data {names}: {error}; install it again"
            raise FailedPrecondition("model", names, problem) from error
