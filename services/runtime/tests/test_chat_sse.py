"""Server-sent events by the standard, from bytes cut at every place."""

from __future__ import annotations

import pytest

from voxmesh_runtime.chat.sse import MAX_EVENT_BYTES, EventStream, ServerEvent
from voxmesh_runtime.errors import Unavailable

pytestmark = pytest.mark.unit

STREAMS: dict[str, tuple[bytes, list[tuple[str, str]]]] = {
    "one": (b"data: a\n\n", [("", "a")]),
    "no space": (b"data:a\n\n", [("", "a")]),
    "one space alone is taken": (b"data:  a\n\n", [("", " a")]),
    "lines are joined": (b"data: a\ndata: b\n\n", [("", "a\nb")]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [("", "a"), ("", "b")]),
    "CR": (b"data: a\r\rdata: b\r\r", [("", "a"), ("", "b")]),
    "mixed ends": (b"data: a\r\n\ndata: b\n\r\ndata: c\r\n\r", [("", "a"), ("", "b"), ("", "c")]),
    "comments": (b": hello\ndata: a\n:\n\n", [("", "a")]),
    "a name": (b"event: error\ndata: a\n\ndata: b\n\n", [("error", "a"), ("", "b")]),
    "L4 a name without data": (b"event: ping\n\ndata: a\n\n", [("", "a")]),
    "L4 empty data": (b"data:\n\ndata: \n\ndata\n\ndata: a\n\n", [("", "a")]),
    "L4 nothing at all": (b"\n\n\r\n\r\n", []),
    "fields of no meaning": (b"id: 7\nretry: 100\nfoo: bar\ndata: a\n\n", [("", "a")]),
    "a byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [("", "a")]),
    "characters of several bytes": ("data: ನಮಸ್ಕಾರ 😀\n\n".encode(), [("", "ನಮಸ್ಕಾರ 😀")]),
    "bytes that are no UTF-8": (b"data: a\xffb\n\n", [("", "a\ufffdb")]),
    "line separators that end no line": ("data: a\u2028b\x0bc\x85\n\n".encode(), [("", "a\u2028b\x0bc\x85")]),
    "the last without its end": (b"data: a\n\ndata: b", [("", "a"), ("", "b")]),
    "an error as a field": (b'error: {"code": 500}\n\n', [("error", '{"code": 500}')]),
}


def read(*pieces: bytes) -> list[tuple[str, str]]:
    stream = EventStream()
    events: list[ServerEvent] = [event for piece in pieces for event in stream.feed(piece)]
    return [(event.name, event.data) for event in (*events, *stream.end())]


@pytest.mark.parametrize("case", STREAMS)
def test_events_are_those_of_the_standard_wherever_the_bytes_are_cut(case: str) -> None:
    data, expected = STREAMS[case]
    assert read(*(data[place : place + 1] for place in range(len(data)))) == expected
    for cut in range(len(data) + 1):
        assert read(data[:cut], b"", data[cut:]) == expected


def test_an_event_is_given_as_soon_as_it_is_whole() -> None:
    stream = EventStream()
    assert stream.feed(b"data: a\n") == []
    assert [event.data for event in stream.feed(b"\nda")] == ["a"]


@pytest.mark.parametrize("piece", [b"data: " + b"x" * 2**20 + b"\n", b"x" * 2**20], ids=["lines", "one line"])
def test_an_event_without_end_is_given_up(piece: bytes) -> None:
    with pytest.raises(Unavailable, match="event"):
        read(*[piece] * (MAX_EVENT_BYTES // 2**20 + 1))
