"""Find out once, at start, what the server has and can: its model, pictures, schemas, and how it tells places."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from voxmesh_runtime.errors import FailedPrecondition, Unavailable, VoxmeshError
from voxmesh_runtime.upstreams import BAD_REQUESTS, REFUSALS, ServerFailure
from voxmesh_vlm.engine import Picture
from voxmesh_vlm.spotting import THOUSAND, LineReader, spotting_prompt
from voxmesh_vlm_openai_vision.calls import Calls
from voxmesh_vlm_openai_vision.failures import to_error
from voxmesh_vlm_openai_vision.messages import Question, reading
from voxmesh_vlm_openai_vision.server import Way
from voxmesh_vlm_openai_vision.settings import PREFIX, OpenAiVisionSettings

log = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.25
_MAX_WAIT_S = 5.0
_MAX_LISTED = 20
_WORDS = "Hello world"
_SIZE = (480, 128)
_PLACE = (40, 32)
_FONT_PIXELS = 40
_MOST_TOKENS = 256
_FEW_TOKENS = 32
_SCHEMA_PROMPT = "What is written here? Answer with JSON."
_SCHEMA = {
    "type": "object",
    "properties": {"words": {"type": "string"}},
    "required": ["words"],
    "additionalProperties": False,
}
_ENOUGH = 0.3
"""Share of overlap with the true place from which a model is taken to know it."""

Scale = tuple[float, float]
_SCALES: dict[str, Scale] = {"thousandths": (THOUSAND, THOUSAND), "pixels": _SIZE}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the server was seen to do."""

    model: str
    way: Way
    scale: Scale | None
    """What it calls the width and height of `_SIZE`; None: it tells no places."""

    def scale_of(self, width: int, height: int) -> Scale | None:
        """What it calls the width and height of another picture."""
        return self.scale if self.scale in {None, (THOUSAND, THOUSAND)} else (width, height)


async def connect(calls: Calls, settings: OpenAiVisionSettings, model: str | None) -> Abilities:
    """Choose the model and show it a picture; the server may take `start_timeout_s` to be there.

    Raises:
        FailedPrecondition: it has not the model, refuses the key, or takes no pictures.
        Unavailable: it is not there or does not answer.
    """
    until, wait_s = time.monotonic() + settings.start_timeout_s, _FIRST_WAIT_S
    while True:
        try:
            async with asyncio.timeout(max(settings.first_token_timeout_s, settings.start_timeout_s)):
                calls.server.model = await _chosen(calls, settings, model)
                return await _tried(calls, settings)
        except TimeoutError:
            raise Unavailable(
                f"the server at {settings.shown_url} does not answer; check that it is well, or raise "
                f"{PREFIX}START_TIMEOUT_S while it loads its model"
            ) from None
        except ServerFailure as failure:
            if not failure.is_transient or time.monotonic() + wait_s > until:
                raise _start_error(failure, calls, settings) from failure
            log.warning("waiting for the server", extra={"reason": failure.problem, "wait_s": wait_s})
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, _MAX_WAIT_S)


def _start_error(failure: ServerFailure, calls: Calls, settings: OpenAiVisionSettings) -> VoxmeshError:
    if failure.status is None and failure.is_transient:
        return Unavailable(f"{failure.problem}; start the server, or check {PREFIX}BASE_URL")
    return to_error(failure, settings.shown_url, calls.server.model)


async def _chosen(calls: Calls, settings: OpenAiVisionSettings, wanted: str | None) -> str:
    """The model to ask for: the operator's, or the one that the server lists."""
    try:
        listed = await calls.server.models()
    except ServerFailure as failure:
        if failure.is_transient or failure.status in REFUSALS:
            raise
        log.info("the server lists no models", extra={"reason": failure.problem})
        listed = ()
    if wanted is not None:
        if listed and wanted not in listed:
            log.warning("the server does not list the model", extra={"model": wanted, "listed": listed[:_MAX_LISTED]})
        return wanted
    if len(listed) == 1:
        return listed[0]
    problem = f"the server lists {', '.join(listed[:_MAX_LISTED])}" if listed else "the server lists no models"
    raise FailedPrecondition("upstream", settings.shown_url, f"{problem}; choose one with --model")


async def _tried(calls: Calls, settings: OpenAiVisionSettings) -> Abilities:
    picture, box = _drawn()
    asked = reading(spotting_prompt(), picture, _MOST_TOKENS, settings.max_pixels)
    way = replace(calls.server.way, json_schema=False)
    way, answer = await _first_taken(calls, asked, [way, replace(way, template_fields=False)])
    if settings.json_schema:
        by_schema = reading(_SCHEMA_PROMPT, picture, _FEW_TOKENS, settings.max_pixels, _SCHEMA)
        way, _ = await _first_taken(calls, by_schema, [replace(way, json_schema=True), way])
    scale = _scale_of(answer, box) if settings.layout == "auto" else _SCALES.get(settings.layout)
    told = {"takes_schemas": way.json_schema, "tells_places": scale is not None, "characters": len(answer)}
    log.info("the server was tried", extra=told)
    return Abilities(calls.server.model, way, scale)


async def _first_taken(calls: Calls, asked: Question, ways: Sequence[Way]) -> tuple[Way, str]:
    """The first way whose fields the server takes, and what it answered."""
    for index, way in enumerate(ways):
        pieces: list[str] = []
        try:
            await calls.words(asked, way, pieces.append)
        except ServerFailure as failure:
            if failure.status not in BAD_REQUESTS or index == len(ways) - 1:
                raise
            log.info("the server refuses a field", extra={"way": str(way), "reason": failure.problem})
        else:
            return way, "".join(pieces)
    raise AssertionError("one way at least")


def _scale_of(answer: str, box: tuple[float, float, float, float]) -> Scale | None:
    """How the model tells places, by where it says that the words are; None if nowhere near."""
    return next((scale for scale in _SCALES.values() if _overlap(answer, scale, box) >= _ENOUGH), None)


def _overlap(answer: str, scale: Scale, box: tuple[float, float, float, float]) -> float:
    """Intersection over union of the first line's place with the true one."""
    reader = LineReader(0, *_SIZE, scale)
    lines = [line for line in reader.feed(answer) if line.corners]
    if not lines:
        return 0.0
    (left, top), _, (right, bottom), _ = lines[0].corners
    width = min(right, box[2]) - max(left, box[0])
    height = min(bottom, box[3]) - max(top, box[1])
    common = max(0.0, width) * max(0.0, height)
    whole = (right - left) * (bottom - top) + (box[2] - box[0]) * (box[3] - box[1]) - common
    return common / whole if whole > 0 else 0.0


def _drawn() -> tuple[Picture, tuple[float, float, float, float]]:
    """A picture of two words, and where they are in pixels."""
    image = Image.new("RGB", _SIZE, "white")
    canvas, font = ImageDraw.Draw(image), ImageFont.load_default(size=_FONT_PIXELS)
    canvas.text(_PLACE, _WORDS, fill="black", font=font)
    return np.array(image, np.uint8), canvas.textbbox(_PLACE, _WORDS, font=font)
