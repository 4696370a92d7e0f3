"""Quote what a caller sent in the message that refuses it: short, on one line, and safe to print."""

from __future__ import annotations

MAX_QUOTED_CHARACTERS = 100


def quote(text: str, limit: int = MAX_QUOTED_CHARACTERS) -> str:
    """`text` in quotation marks, cut after `limit` characters, with control characters and surrogates escaped."""
    shown = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return "'" + "".join(_printable(character) for character in shown) + "'"


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
