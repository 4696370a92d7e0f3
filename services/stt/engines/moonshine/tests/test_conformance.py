"""The Moonshine engine does what every speech-to-text engine must do."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from voxmesh_runtime.audio import read_audio_file
from voxmesh_stt.conformance import Clip, SttConformance

pytestmark = pytest.mark.engine

DATA = Path(__file__).parent / "data"


@cache
def _clips() -> tuple[Clip, Clip]:
    young_man, _ = read_audio_file(DATA / "young_man.flac")
    amiable, _ = read_audio_file(DATA / "amiable.flac")
    return (
        Clip(young_man, "he was not an ill disposed young man"),
        Clip(amiable, "he might even have been made amiable himself"),
    )


class TestMoonshine(SttConformance):
    """Every rule, with two clips of read speech."""

    engine = "moonshine"

    def clips(self) -> tuple[Clip, Clip]:
        return _clips()
