"""What of a caller's text reaches the model, and how long the model may speak it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from voxmesh_tts_qwen_tts.settings import QwenTtsSettings

FRAMES_PER_S = 12.5


def marks_of(tokens: Iterable[str]) -> re.Pattern[str]:
    """Finds the tokens with which a tokenizer marks the parts of a prompt, wherever they stand in a text."""
    return re.compile("|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True)) or r"(?!)")


def unmarked(text: str, marks: re.Pattern[str]) -> str:
    """`text` on one line without the marks of a prompt, which it would end or continue as somebody else.

    Prompts are cut by position, and a space or a line break at either end would move it.
    """
    return " ".join(marks.sub(" ", text).split())


def most_frames(tokens: int, settings: QwenTtsSettings) -> int:
    """Frames after which a clause of so many tokens is over, for a model may never end by itself."""
    allowed = settings.max_extra_frames + round(tokens * settings.max_frames_per_token)
    return max(1, min(allowed, round(settings.max_clause_s * FRAMES_PER_S)))
