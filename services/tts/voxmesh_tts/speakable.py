"""What of a written text is spoken: no Markdown, no emoji, no tags."""

from __future__ import annotations

import re

from voxmesh_tts.punctuation import CLOSERS


def _cells(row: re.Match[str]) -> str:
    return ", ".join(cell.strip() for cell in row[0].strip().strip("|").split("|") if cell.strip())


_TARGET = r"""(?:[^()\s]|\([^()\s]*\))*(?:\s"[^"]*")?"""
_EMOJI = r"[\u2190-\u21ff\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff\U000e0020-\U000e007f]"
_SCHEME = re.compile(r"\bhttps?://")
_SUBSTITUTIONS = (
    # Rows of tables: a pause between cells, and nothing for the line under the heading.
    (re.compile(r"^\s*(?:\|?\s*:?-{2,}:?\s*(?=\|))+\|?(?:\s*:?-{2,}:?)?\s*$", re.MULTILINE), ""),
    (re.compile(r"^\s*\|.*", re.MULTILINE), _cells),
    # Links and images: their text is spoken, their address is not, even when a cut fell between the two.
    (re.compile(rf"!?\[([^\[\]]*)\]\({_TARGET}\)"), r"\1"),
    (re.compile(rf"\]\({_TARGET}\)"), ""),
    (re.compile(r"(?<=[-*+]\s)\[[ xX]\]\s|\[\^[^\]]{1,20}\]"), ""),
    (re.compile(r"<(https?://[^<>\s]+)>"), r"\1"),
    (re.compile(r"</?[a-zA-Z][^<>]*>"), " "),
    # Headings, quotations and bullets.
    (re.compile(r"^\s*(?:#{1,6}\s+|>+\s*|[-*+•]\s+)+"), ""),
    # Emphasis clings to a word on one side only: 2 * 3, 2*3 and snake_case stay.
    (re.compile(r"`+|~{2,}|_{3,}|(?<!\d)\*{2,}|\*{2,}(?!\d)"), ""),
    (re.compile(r"(?<![\w*])[*_]+(?=\S)|(?<=\S)[*_]++(?!\w)"), ""),
    (re.compile(rf"{_EMOJI}(?:[\ufe0f\u200d\u20e3]|{_EMOJI})*"), " "),
    (re.compile(r"[\[\]|\ufe0f\u20e3\ufeff]"), " "),
    (re.compile(r"\s+"), " "),
)
_MEANINGFUL_BEFORE_DIGITS = ".-"


def speakable(text: str, *, schemes: bool = False) -> str:
    """`text` as it is read aloud, on one line; empty when it holds no letter, digit or spoken symbol.

    `schemes` keeps the `https://` of addresses, for those who read them.
    """
    if not schemes:
        text = _SCHEME.sub("", text)
    for pattern, replacement in _SUBSTITUTIONS:
        text = pattern.sub(replacement, text)
    text = text[leading_closers(text) :].strip()
    return text if has_speech(text) else ""


def has_speech(text: str) -> bool:
    """Whether anything in `text` is a letter, a digit, or a symbol such as % that has a name."""
    return any(character.isalnum() or character in "%&+@$€£¥₹°" for character in text)


def leading_closers(text: str) -> int:
    """Characters at the start of `text` that belong to what came before it."""
    count = len(text) - len(text.lstrip(CLOSERS))
    is_number = count < len(text) and text[count].isdigit()
    if count and is_number and text[count - 1] in _MEANINGFUL_BEFORE_DIGITS:
        count -= 1
    return count
