"""Voices come from lists of any shape, and the operator's word goes before the server's."""

from __future__ import annotations

from typing import Any

import pytest

from voxmesh_tts_openai_speech.settings import OpenAiSpeechSettings
from voxmesh_tts_openai_speech.voices import listed_voices, offered_voices

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("body", "voices"),
    [
        ({"voices": ["af_heart", "am_adam"]}, {"af_heart": (), "am_adam": ()}),
        ({"voices": [{"id": "af_heart", "name": "Heart"}]}, {"af_heart": ()}),
        ({"voices": ["vivian"], "uploaded_voices": [{"name": "mine"}]}, {"vivian": ()}),
        ({"voices": [{"name": "a", "language": "en_US"}]}, {"a": ("en-US",)}),
        ({"voices": [{"voice_id": "a", "languages": ["hi", 7, "<b>"]}]}, {"a": ("hi",)}),
        ({"voices": {"a": {"lang": "de"}, "b": None}}, {"a": ("de",), "b": ()}),
        ({"object": "list", "data": [{"id": "a"}, {"id": "a"}]}, {"a": ()}),
        (["a", {"name": "b"}, None, 3, "", "x\n", "y" * 101, {"id": 4}], {"a": (), "b": ()}),
        ({"voices": None}, {}),
        ({"detail": "nothing here"}, {}),
        ("no list", {}),
        (None, {}),
    ],
)
def test_lists_of_any_shape_are_read(body: Any, voices: dict[str, tuple[str, ...]]) -> None:
    assert listed_voices(body) == voices


@pytest.mark.parametrize(
    ("listed", "changes", "offered"),
    [
        ({}, {}, {"alloy": ("en",)}),
        ({}, {"voice": "nova"}, {"nova": ("en",)}),
        ({"a": (), "b": ("hi",)}, {}, {"a": ("en",), "b": ("hi",)}),
        ({"a": (), "b": ()}, {"voice": "b"}, {"b": ("en",), "a": ("en",)}),
        ({"a": (), "b": ()}, {"voices": ("a+b", "b")}, {"a+b": ("en",), "b": ("en",)}),
        ({"a": ()}, {"language_codes": ("kn", "en-IN")}, {"a": ("kn", "en-IN")}),
        ({"a": ("fr",)}, {"voice_language_codes": {"a": ("hi",)}}, {"a": ("hi",)}),
    ],
)
def test_the_operators_word_goes_first(
    listed: dict[str, tuple[str, ...]], changes: dict[str, Any], offered: dict[str, tuple[str, ...]]
) -> None:
    voices = offered_voices(listed, OpenAiSpeechSettings(**changes))
    assert {voice.name: voice.language_codes for voice in voices} == offered
    assert [voice.name for voice in voices] == list(offered)
