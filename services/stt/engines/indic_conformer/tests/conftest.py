"""The trained fixture: clips, and the model loaded once with either decoder."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from voxmesh_runtime.audio import Samples, read_audio_file
from voxmesh_stt_indic_conformer.files import Decoder, ModelFolder
from voxmesh_stt_indic_conformer.graphs import Loader
from voxmesh_stt_indic_conformer.model import Model, Speech

DATA = Path(__file__).parent / "data"
TEXTS = json.loads((DATA / "clips.json").read_text(encoding="utf-8"))

GetModel = Callable[[Decoder], Model]
GetClip = Callable[[str], Speech]


@cache
def _model(decoder: Decoder) -> Model:
    return Model(ModelFolder("words", "Apache-2.0", DATA / "words"), decoder, Loader("cpu", 1))


@cache
def _samples(name: str) -> Samples:
    samples, _ = read_audio_file(DATA / f"{name}.flac")
    return samples


@pytest.fixture
def words() -> Path:
    """The folder of the trained model."""
    return DATA / "words"


@pytest.fixture
def model() -> GetModel:
    """The trained model by decoder."""
    return _model


@pytest.fixture
def clip() -> GetClip:
    """A clip by name, with its language."""
    return lambda name: Speech(_samples(name), TEXTS[name]["language"])


@pytest.fixture
def text() -> Callable[[str], str]:
    """A clip's words by name."""
    return lambda name: TEXTS[name]["text"]
