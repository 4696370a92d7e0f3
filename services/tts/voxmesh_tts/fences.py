"""Fenced code in text that is still being written: nobody follows code by ear, so it becomes blanks."""

from __future__ import annotations

import re

_FENCE = re.compile(r"[ ]{0,3}(?:(```)[^`]*|(~~~).*)[\r\n]*")
_BEGUN = re.compile(r"[ ]{0,3}(?:`{0,2}|~{0,2}|```[^`\r\n]*|~~~[^\r\n]*)")
"""The beginning of a line that may still become a fence."""
_LINE = re.compile(r"[^\r\n]*[\r\n]|[^\r\n]+")
_NOT_BREAK = re.compile(r"[^\r\n]")


class CodeFences:
    """Takes a text in pieces of any size and gives it in the same length, blank where it is code.

    Only a line that may be a fence is held back.
    """

    def __init__(self) -> None:
        self._held = ""
        self._is_within_line = False
        self._mark = ""
        """What opened the code, empty outside of code."""
        self._is_blank = False
        """Whether the line in progress is not spoken."""

    def feed(self, text: str) -> str:
        """What is certain after `text`."""
        text, self._held = self._held + text, ""
        return "".join(map(self._part, _LINE.findall(text)))

    def flush(self) -> str:
        """What was held back, at the end of the text."""
        held, self._held = self._held, ""
        self._begin_line(held)
        return _blank(held) if self._is_blank else held

    def _part(self, part: str) -> str:
        is_whole = part[-1] in "\r\n"
        if not self._is_within_line:
            if not is_whole and _BEGUN.fullmatch(part):
                self._held = part
                return ""
            self._begin_line(part)
        self._is_within_line = not is_whole
        return _blank(part) if self._is_blank else part

    def _begin_line(self, line: str) -> None:
        fence = _FENCE.fullmatch(line)
        mark = "" if fence is None else fence[1] or fence[2]
        self._is_blank = bool(self._mark or mark)
        if mark and mark == self._mark:
            self._mark = ""
        elif mark and not self._mark:
            self._mark = mark


def _blank(text: str) -> str:
    return _NOT_BREAK.sub(" ", text)
