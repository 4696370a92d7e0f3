"""Server-sent events of a transcription, in the three dialects that servers speak.

OpenAI      `transcript.text.delta`, and `transcript.text.done` with the whole text
vLLM        `transcription.chunk` with `choices[0].delta.content`, then `[DONE]`
speaches    one JSON answer a segment, then the end of the body
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

_DONE = "[DONE]"


class EventLines:
    """Cuts bytes into the data of events."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []

    def feed(self, data: bytes) -> Iterator[str]:
        """Take bytes as they come, and give the data of events that are complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield from self._take(line)

    def end(self) -> Iterator[str]:
        """The last event, if only its empty line is missing."""
        yield from self._take(self._rest)
        yield from self._take(b"")

    def _take(self, line: bytes) -> Iterator[str]:
        text = line.rstrip(b"\r").decode(errors="replace")
        if text.startswith("data:"):
            self._data.append(text[5:].removeprefix(" "))
        elif not text and self._data:
            yield "\n".join(self._data)
            self._data.clear()


class StreamedText:
    """The text of a stream of events, as far as it came."""

    def __init__(self) -> None:
        self.text = ""
        self.is_done = False
        self.error: str | None = None
        """What the server says went wrong in mid-answer."""
        self._needs_end = False
        self._events = 0

    @property
    def is_whole(self) -> bool:
        """Nothing is missing, now that the body has ended."""
        return self._events > 0 and self.error is None and (self.is_done or not self._needs_end)

    def take(self, data: str) -> None:
        """Take the data of one event.

        Raises:
            ValueError: it is none of a transcription.
        """
        self._events += 1
        if data.strip() == _DONE:
            self.is_done = True
            return
        event = json.loads(data)
        if not isinstance(event, dict):
            raise ValueError("an event is no object")  # noqa: TRY004 # what was sent is wrong, not what we passed
        self._take_event(cast("dict[str, Any]", event))

    def _take_event(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        if event.get("error"):
            error = event["error"]
            self.error = str(error.get("message") if isinstance(error, dict) else error)
        elif kind == "transcript.text.delta":
            self._needs_end = True
            self.text += _string(event.get("delta"))
        elif kind == "transcript.text.done":
            self.text = _string(event.get("text"))
            self.is_done = True
        elif "choices" in event:
            self._needs_end = True
            self.text += "".join(map(_content, event["choices"] or ()))
        elif kind is None and "text" in event:
            self._add_segment(_string(event["text"]))

    def _add_segment(self, text: str) -> None:
        last = self.text[-1:]
        apart = last.isascii() and last and not last.isspace() and text[:1].isalnum()
        self.text += f" {text}" if apart else text


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is no string")  # noqa: TRY004 # what was sent is wrong, not what we passed
    return value


def _content(choice: Any) -> str:
    delta = choice.get("delta") if isinstance(choice, dict) else None
    return _string(delta.get("content") or "") if isinstance(delta, dict) else ""
