"""The voices that are offered: the operator's, else those that the server lists, in whatever shape."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

from voxmesh_tts.engine import Voice
from voxmesh_tts_openai_speech.settings import OpenAiSpeechSettings

DEFAULT_VOICE = "alloy"
"""OpenAI's first; most servers map it to one of theirs."""
_MAX_VOICES = 500
_MAX_NAME_CHARACTERS = 100
_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
_NAMES = ("id", "voice_id", "voice", "name", "value")
_LANGUAGES = ("language_codes", "languages", "language_code", "language", "locale", "lang")


def listed_voices(body: Any) -> dict[str, tuple[str, ...]]:
    """Names with BCP-47 tags, as far as these are told, of a decoded answer; empty if it is no list of voices.

    Known shapes: `{"voices": ["a"]}`, `{"voices": [{"id": "a"}]}`, `{"voices": {"a": {}}}`, `{"data": [...]}`, `[...]`.
    """
    if isinstance(body, dict):
        body = cast("dict[str, Any]", body)
        body = next((body[key] for key in ("voices", "data") if key in body), None)
    if isinstance(body, dict):
        body = [{"id": name, **(facts if isinstance(facts, dict) else {})} for name, facts in body.items()]
    if not isinstance(body, list):
        return {}
    named = ((_name(item), item) for item in body[:_MAX_VOICES])
    return {name: tuple(_tags(item)) for name, item in named if name}


def offered_voices(listed: dict[str, tuple[str, ...]], settings: OpenAiSpeechSettings) -> tuple[Voice, ...]:
    """The voices of the service, its default first."""
    names = [settings.voice, *(settings.voices or listed)]
    names = [name for name in dict.fromkeys(names) if name] or [DEFAULT_VOICE]
    told = {**listed, **settings.voice_language_codes}
    return tuple(Voice(name, told.get(name) or settings.language_codes) for name in names)


def _name(item: Any) -> str:
    if isinstance(item, dict):
        item = next((item[key] for key in _NAMES if isinstance(item.get(key), str)), "")
    is_name = isinstance(item, str) and 0 < len(item) <= _MAX_NAME_CHARACTERS and item.isprintable()
    return item if is_name else ""


def _tags(item: Any) -> Iterator[str]:
    if not isinstance(item, dict):
        return
    told = next((item[key] for key in _LANGUAGES if item.get(key)), None)
    for tag in told if isinstance(told, list) else [told]:
        if isinstance(tag, str) and _TAG.fullmatch(tag):
            yield tag.replace("_", "-")
