"""Marks of chat templates in a text, with which it could speak as somebody else.

What callers send is refused for a mark; what our own model wrote is cleaned of marks before anything else reads it.
"""

from __future__ import annotations

import re

from voxmesh_runtime.errors import InvalidArgument

LONGEST = 44
"""Characters of the longest mark; text that comes in pieces is checked over that much of a seam."""

_PIECE_CHARACTERS = 4096

_WORDS = (
    *("<s>", "</s>", "<bos>", "<eos>", "<pad>", "<unk>", "<image>", "<img>", "<__media__>"),
    *("<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>"),
    *("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"),
    *("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[IMG]", "[/IMG]"),
    *("[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[/TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"),
)
_ANY_WORD = (r"<\|[^|<>\s]{1,40}\|>", "<\uff5c[^\uff5c>]{1,40}\uff5c>")
_ANY_WORD_BEGUN = (r"<(?:\|(?:[^|<>\s]{1,40}\|?)?)?", "<(?:\uff5c(?:[^\uff5c>]{1,40}\uff5c?)?)?")


def refuse_control_tokens(field: str, text: str) -> None:
    """Check a text before a model sees it.

    Raises:
        InvalidArgument: names `field` and the mark.
    """
    found = _MARK.search(text)
    if found is not None:
        raise InvalidArgument(field, f"holds the control token {found[0]!r} of a chat template; remove it")


def strip_control_tokens(text: str) -> str:
    """A text that a model wrote, without marks; the words between them stay."""
    cleaner = ControlTokenFilter()
    pieces = (text[start : start + _PIECE_CHARACTERS] for start in range(0, len(text), _PIECE_CHARACTERS))
    return "".join([*map(cleaner.feed, pieces), cleaner.flush()])


class ControlTokenFilter:
    """Cleans a text that comes in pieces cut anywhere; holds back only what may be the beginning of a mark.

    What it lets through holds no mark, not even one that the removal of another would put together.
    """

    def __init__(self) -> None:
        self._held = ""
        self._passed = ""

    def feed(self, text: str) -> str:
        """What is certain after `text`; at most `LONGEST` characters stay behind."""
        whole, passed = self._passed + self._held + text, len(self._passed)
        whole = _without_marks(whole, passed)
        beginning = _BEGINNING.search(whole, max(passed, len(whole) - LONGEST))
        certain = len(whole) if beginning is None else beginning.start()
        self._held = whole[certain:]
        self._passed = whole[max(0, certain - LONGEST) : certain]
        return whole[passed:certain]

    def flush(self) -> str:
        """What is still held at the end of the text: it was no mark after all."""
        held, self._held, self._passed = self._held, "", ""
        return held


def _without_marks(text: str, passed: int) -> str:
    """`text` without its marks; the first `passed` characters are gone already, so that they stay."""
    start = 0
    while (found := _MARK.search(text, start)) is not None:
        text = text[: max(passed, found.start())] + text[found.end() :]
        # What stood on both sides of it may be a mark now.
        start = max(0, found.start() - LONGEST)
    return text


def _begun(word: str) -> str:
    """A pattern for every beginning of `word`."""
    pattern = ""
    for character in reversed(word[:-1]):
        pattern = re.escape(character) + (f"(?:{pattern})?" if pattern else "")
    return pattern


_MARK = re.compile("|".join([*map(re.escape, _WORDS), *_ANY_WORD]), re.IGNORECASE)
_BEGINNING = re.compile(f"(?:{'|'.join([*map(_begun, _WORDS), *_ANY_WORD_BEGUN])})\\Z", re.IGNORECASE)
