"""Quote what a caller sent in the message that refuses it: short, on one line, and safe to print."""

from __future__ import annotations

from collections.abc import Iterable

MAX_QUOTED_CHARACTERS = 100
MAX_LISTED = 40
"""Names that a refusal lists of those that are known."""
_NAME_CHARACTERS = 60


def quote(text: str, limit: int = MAX_QUOTED_CHARACTERS) -> str:
    """`text` in quotation marks, at most `limit` characters of it, with its whole length where it is cut.

    Control characters and surrogates are escaped; an escape counts with all of its characters.
    """
    # As many characters of the text as are shown at most; a long text is not walked through.
    shown = "".join(map(_printable, text[: limit + 1]))
    if len(text) <= limit and len(shown) <= limit:
        return f"'{shown}'"
    return f"'{shown[: limit - 1]}…' ({len(text)} characters)"


def listed(names: Iterable[str], limit: int = MAX_LISTED) -> str:
    """Names joined by commas, at most `limit` of them, and how many more there are; "none" where there are none."""
    every = list(names)
    shown = [name if len(name) <= _NAME_CHARACTERS else quote(name, _NAME_CHARACTERS) for name in every[:limit]]
    more = [f"and {len(every) - limit} more"] if len(every) > limit else []
    return ", ".join([*shown, *more]) or "none"


def encodable(text: str) -> str:
    """`text` as it can be sent: surrogates, which no UTF-8 has, are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
