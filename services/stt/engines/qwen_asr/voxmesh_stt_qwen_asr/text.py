"""The model's raw answer, `language English<asr_text>Hello`: what of it a decode goes on from, and what is shown."""

from __future__ import annotations

import re
from typing import Any

from qwen_asr.inference.utils import detect_and_fix_repetitions, parse_asr_output

_UNFINISHED = "\ufffd"
"""Stands where a character's bytes are not all there."""
_LANGUAGE_ALONE = re.compile(r"language(\s+\w*)?", re.IGNORECASE)
"""An answer that ends before its text, which the package takes for the text."""


def rolled_back(tokenizer: Any, raw: str, tokens: int) -> str:
    """The answer without its last tokens, which may change with more audio; no character is cut in two."""
    ids: list[int] = tokenizer.encode(raw)
    end = len(ids) - tokens
    while end > 0:
        prefix = tokenizer.decode(ids[:end])
        if _UNFINISHED not in prefix:
            return prefix
        end -= 1
    return ""


def without_repetitions(raw: str) -> str:
    """The answer with what stands 20 times in a row once: a model that is stuck must not go on from there."""
    return detect_and_fix_repetitions(raw)


def parsed(raw: str, language: str | None) -> tuple[str, str]:
    """The model's name of the language, "" if unknown, and the text.

    Args:
        raw: the whole answer.
        language: the one that the answer was forced into, which it then does not name.
    """
    if language is None and _LANGUAGE_ALONE.fullmatch(raw.strip()):
        return "", ""
    found, text = parse_asr_output(raw, user_language=language)
    return found, text.replace(_UNFINISHED, "").strip()
