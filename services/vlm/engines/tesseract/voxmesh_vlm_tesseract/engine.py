"""Tesseract as an engine of the vision-language service: it reads text in the scripts of the data that is installed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.errors import FailedPrecondition, Unimplemented
from voxmesh_runtime.models import InvalidSourceError, LocalPath, parse_source
from voxmesh_vlm.engine import Analysis, AnalysisRequest, EngineInfo, Picture, Task
from voxmesh_vlm.scripts import WORKING, Held, illegible
from voxmesh_vlm_tesseract.page import Page
from voxmesh_vlm_tesseract.reader import TRUSTED, Glance, Reader
from voxmesh_vlm_tesseract.settings import TesseractSettings
from voxmesh_vlm_tesseract.tessdata import ORIENTATION, Language, data_files, data_for, data_of, languages_of

SURE = 0.85
"""Confidence of a line that is read, though the page looks like a script that is not: of two words that look is often
wrong."""
_MODEL = "tessdata_fast"


class TesseractEngine:
    """One reader for all streams; see `voxmesh_vlm.engine.Engine`."""

    def __init__(self, context: EngineContext) -> None:
        settings = TesseractSettings()
        named = [_folder(context.model)] if context.model is not None else []
        self._folders = [*named, *([settings.tessdata_prefix] if settings.tessdata_prefix else [])]
        self._preferred = settings.languages
        self._languages: tuple[Language, ...] = ()
        self._reader: Reader | None = None
        self.info = EngineInfo(
            _facts(context),
            frozenset({Task.READ_TEXT}),
            alternatives=("qwen_vl", "openai_vision"),
            readers=("qwen_vl", "openai_vision"),
        )

    def load(self) -> None:
        """Find the data and load it; does nothing when it is loaded.

        Raises:
            FailedPrecondition: there is no data for orientation, or for no language.
        """
        if self._reader is not None:
            return
        files = data_files(self._folders)
        self._languages = languages_of(tuple(files))
        if ORIENTATION not in files or not self._languages:
            problem = f"no data of Tesseract for {'any language' if ORIENTATION in files else ORIENTATION} is installed"
            raise FailedPrecondition("model", ORIENTATION, f"{problem}; set TESSDATA_PREFIX to its folder")
        self._reader = Reader(files)
        self.info = replace(
            self.info,
            facts=replace(self.info.facts, language_codes=tuple(language.tag for language in self._languages)),
            script_codes=tuple(sorted({language.script for language in self._languages})),
        )

    def warm_up(self) -> None:
        """Read two words, which loads the usual data."""
        image = Image.new("RGB", (320, 96), "white")
        ImageDraw.Draw(image).text((32, 24), "warm up", fill="black", font=ImageFont.load_default(40))
        list(self.analyze(AnalysisRequest((np.array(image, np.uint8),), Task.READ_TEXT)))

    def analyze(self, request: AnalysisRequest) -> Analysis:
        """The lines of text, picture after picture.

        Raises:
            Unimplemented: anything but reading is asked for, or a picture's text is in a script that is not read.
        """
        if request.task is not Task.READ_TEXT:
            others = self.info.alternatives
            raise Unimplemented(
                "TASK_ANSWER", f"the engine reads text and cannot answer; use {' or '.join(others)}", others
            )
        if self._reader is None:
            raise RuntimeError("load() comes before the first use")
        for index, picture in enumerate(request.pictures):
            yield from self._picture(self._reader, index, picture, request.language_codes)

    def close(self) -> None:
        """Free the data."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _picture(self, reader: Reader, index: int, picture: Picture, tags: Sequence[str]) -> Analysis:
        """The lines of a picture, read in the likeliest way and language, or the next ones if that gives nothing."""
        page = reader.sized(Page.of(picture), self._usual)
        yield WORKING
        glance = reader.glance(page)
        yield WORKING
        tries: list[Held] = []
        for turn, names in self._ways(glance, tags):
            tries.append(Held())
            for found in reader.lines(index, page.turned(turn), names, self._proof(glance, names)):
                yield from tries[-1].add(found) or [WORKING]
            if tries[-1].is_clear:
                return
        readable = next((held for held in tries if not held.is_refused), None)
        if readable is None:
            raise illegible(self.info, index, "" if glance.script in self.info.script_codes else glance.script)
        yield from readable.rest()

    def _ways(self, glance: Glance, tags: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Turns and data to try, the likeliest first."""
        usual = data_for(tags, self._languages) or self._usual
        of_script = () if tags else data_of(glance.script, self._languages)
        sets = [usual] if set(of_script) <= set(usual) else [usual, of_script]
        turns = [glance.turn] if glance.is_sure else list(dict.fromkeys((0, glance.turn)))
        yield from ((turn, names) for names in sets for turn in turns)

    @property
    def _usual(self) -> tuple[str, ...]:
        """The data that is tried where nothing is known of the language."""
        names = [language.name for language in self._languages]
        return tuple(name for name in self._preferred if name in names) or tuple(names[:1])

    def _proof(self, glance: Glance, names: Sequence[str]) -> float:
        """Confidence from which a line proves that the page is in a script of the data."""
        scripts = {language.script for language in self._languages if language.name in names}
        return TRUSTED if not glance.script or glance.script in scripts else SURE


def _folder(model: str) -> Path:
    try:
        source = parse_source(model)
    except InvalidSourceError as error:
        raise FailedPrecondition("model", model, str(error)) from None
    if isinstance(source, LocalPath) and source.path.is_dir():
        return source.path
    problem = "the model of tesseract is a folder of .traineddata files; leave the setting out for those installed"
    raise FailedPrecondition("model", model, problem)


def _facts(context: EngineContext) -> ModelFacts:
    device = context.device
    return ModelFacts(
        model=context.model or _MODEL,
        license="Apache-2.0",
        device_reason="" if device in {"auto", "cpu"} else f"the engine runs on the CPU only, not on {device}",
    )
