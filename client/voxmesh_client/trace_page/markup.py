"""HTML elements as text, with every value escaped."""

from __future__ import annotations

from html import escape


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, *content: str, **attributes: str) -> Markup:
    """An element; content that is no Markup is escaped, and so are attributes.

    `class_` gives the attribute `class`; other underscores become hyphens.
    """
    told = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{told}>{joined(*content)}</{name}>")


def joined(*content: str) -> Markup:
    """Pieces one after another."""
    return Markup("".join(piece if isinstance(piece, Markup) else escape(piece) for piece in content))
