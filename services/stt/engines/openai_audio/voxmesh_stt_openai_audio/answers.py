"""What servers answer to a transcription request, whatever their dialect, as one `Answer`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from voxmesh_stt.engine import Word
from voxmesh_stt_openai_audio.languages import tag_of

_QWEN_HEAD = re.compile(r"\s*language\s+(?P<language>[^<]{0,60})<asr_text>")
_QWEN_BEGUN = re.compile(r"\s*language(\s+[A-Z]?[^<\s]{0,30}(<[a-z_]{0,9})?)?")


@dataclass(frozen=True, slots=True)
class Answer:
    """A transcription; word times in seconds from the first sample sent."""

    text: str
    language_code: str = ""
    """BCP-47 tag that the server detected or took; empty when it does not tell."""
    words: tuple[Word, ...] = ()
    has_words: bool = False
    """The server gives word times, be it those of no word."""
    is_streamed: bool = False


def answer_of(body: Any, audio_s: float) -> Answer | None:
    """The answer in a decoded JSON body to `audio_s` seconds of audio; None if it holds no transcription."""
    if not isinstance(body, dict) or not isinstance(body.get("text"), str):
        return None
    text, language = cleaned(body["text"])
    if isinstance(body.get("language"), str):
        language = tag_of(body["language"]) or language
    listed = list(_listed_words(body))
    words = _words(listed, audio_s)
    return Answer(text, language, words if text else (), has_words=bool(words) or isinstance(body.get("words"), list))


def cleaned(raw: str) -> tuple[str, str]:
    """The text without the frame that some servers leave around it, and the language that the frame names.

    Qwen3-ASR writes `language English<asr_text>` before the text; vLLM passes it on in streams.
    """
    # A lone surrogate cannot be sent on.
    text, language = raw.encode(errors="replace").decode(), ""
    head = _QWEN_HEAD.match(text)
    if head is not None:
        language = tag_of(head["language"])
        text = _QWEN_HEAD.sub("", text)
    text = text.strip()
    return (text if any(character.isalnum() for character in text) else ""), language


def cleaned_part(raw: str) -> str:
    """The text of an answer that is still being written."""
    return "" if _QWEN_BEGUN.fullmatch(raw) else cleaned(raw)[0]


def _listed_words(body: dict[str, Any]) -> Iterator[Any]:
    """Words as OpenAI lists them, or within segments as whisper.cpp does."""
    if isinstance(body.get("words"), list):
        yield from body["words"]
        return
    segments = body.get("segments")
    for segment in segments if isinstance(segments, list) else ():
        if isinstance(segment, dict) and isinstance(segment.get("words"), list):
            yield from segment["words"]


def _words(listed: list[Any], audio_s: float) -> tuple[Word, ...]:
    """Words in order within the audio; none at all if one of them is no word with times."""
    words: list[Word] = []
    begun_s = 0.0
    for item in listed:
        word = _word(item, audio_s) if isinstance(item, dict) else None
        if word is None or word.start_s < begun_s:
            return ()
        begun_s = word.start_s
        if word.text:
            words.append(word)
    return tuple(words)


def _word(item: dict[str, Any], audio_s: float) -> Word | None:
    text, start_s, end_s = item.get("word"), _number(item.get("start")), _number(item.get("end"))
    if not isinstance(text, str) or start_s is None or end_s is None or not 0 <= start_s <= end_s:
        return None
    probability = _number(item.get("probability"))
    confidence = probability if probability is not None and 0 < probability <= 1 else None
    # Servers pad what they get, and may place the last word there.
    return Word(cleaned(text)[0], min(start_s, audio_s), min(end_s, audio_s), confidence)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
