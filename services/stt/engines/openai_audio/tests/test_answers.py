"""What servers answer, in all their dialects, becomes one kind of answer."""

from __future__ import annotations

from typing import Any

import pytest

from voxmesh_stt.engine import Word
from voxmesh_stt_openai_audio.answers import answer_of, cleaned, cleaned_part
from voxmesh_stt_openai_audio.events import EventLines, StreamedText
from voxmesh_stt_openai_audio.languages import code_of, tag_of

pytestmark = pytest.mark.unit


def _streamed(*chunks: bytes) -> StreamedText:
    lines, text = EventLines(), StreamedText()
    for chunk in chunks:
        for data in lines.feed(chunk):
            text.take(data)
    for data in lines.end():
        text.take(data)
    return text


@pytest.mark.parametrize(
    ("answered", "tag"),
    [
        ("english", "en"),
        ("English", "en"),
        ("en", "en"),
        ("zh-TW", "zh-TW"),
        ("pt_BR", "pt-BR"),
        ("haitian creole", "ht"),
        ("Cantonese", "yue"),
        ("Chinese,English", "zh"),
        ("", ""),
        ("None", ""),
        ("klingonese", ""),
    ],
)
def test_languages_become_tags(answered: str, tag: str) -> None:
    assert tag_of(answered) == tag


def test_requests_name_the_language_alone() -> None:
    assert [code_of(tag) for tag in ("en-IN", "KN", "zh-Hans-CN", "tl", "nb", "")] == ["en", "kn", "zh", "tl", "no", ""]


def test_a_plain_answer_is_its_text() -> None:
    answer = answer_of({"text": " Hello there. \n"}, 1.0)
    assert answer is not None
    assert (answer.text, answer.language_code, answer.words, answer.has_words) == ("Hello there.", "", (), False)


@pytest.mark.parametrize("body", [None, [], "text", 7, {}, {"text": None}, {"text": ["a"]}])
def test_what_holds_no_text_is_no_answer(body: Any) -> None:
    assert answer_of(body, 1.0) is None


@pytest.mark.parametrize("text", ["", " ", ".", "...", "[ ]", "♪"])
def test_marks_alone_are_no_words(text: str) -> None:
    answer = answer_of({"text": text, "words": [{"word": text, "start": 0, "end": 1}]}, 1.0)
    assert answer is not None
    assert (answer.text, answer.words) == ("", ())


def test_words_are_those_of_openai() -> None:
    words = [{"word": "Hello", "start": 0.1, "end": 0.5}, {"word": " there", "start": 0.5, "end": 1.2}]
    answer = answer_of({"text": "Hello there.", "language": "english", "words": words}, 1.0)
    assert answer is not None
    assert answer.language_code == "en"
    assert answer.words == (Word("Hello", 0.1, 0.5), Word("there", 0.5, 1.0))


def test_words_are_those_of_segments_where_the_server_puts_them_there() -> None:
    segments = [
        {"text": "Hello", "words": [{"word": " Hello", "start": 0.1, "end": 0.5, "probability": 0.9}]},
        {"text": "there", "words": [{"word": " there", "start": 0.5, "end": 0.8, "probability": 7}]},
    ]
    answer = answer_of({"text": "Hello there", "segments": segments}, 1.0)
    assert answer is not None
    assert answer.words == (Word("Hello", 0.1, 0.5, 0.9), Word("there", 0.5, 0.8))


@pytest.mark.parametrize(
    "times",
    [
        (float("nan"), 1),
        (0, float("inf")),
        (-1, 1),
        (1, 0.5),
        ("0", "1"),
        (None, 1),
        (True, 1),
        (0, 10**400),
    ],
)
def test_times_that_are_none_cost_the_words_and_not_the_text(times: tuple[Any, Any]) -> None:
    words = [{"word": "Hello", "start": times[0], "end": times[1]}]
    answer = answer_of({"text": "Hello", "words": words}, 1.0)
    assert answer is not None
    assert (answer.text, answer.words) == ("Hello", ())


def test_words_out_of_order_cost_the_words() -> None:
    words = [{"word": "b", "start": 0.5, "end": 0.6}, {"word": "a", "start": 0.1, "end": 0.2}]
    answer = answer_of({"text": "b a", "words": words}, 1.0)
    assert answer is not None
    assert answer.words == ()


def test_text_that_cannot_be_sent_on_is_mended() -> None:
    assert cleaned("a\ud800b") == ("a?b", "")


def test_the_frame_of_qwen_is_taken_off_and_read() -> None:
    assert cleaned("language English<asr_text>Hello there.") == ("Hello there.", "en")
    assert cleaned("language None<asr_text>") == ("", "")
    assert cleaned("Language is fun.") == ("Language is fun.", "")


@pytest.mark.parametrize("part", ["language", "language ", "language Eng", "language English<asr", ""])
def test_a_frame_that_is_still_being_written_is_not_shown(part: str) -> None:
    assert cleaned_part(part) == ""


def test_text_that_is_still_being_written_is_shown() -> None:
    assert cleaned_part("language English<asr_text>Hello th") == "Hello th"
    assert cleaned_part("language is what we") == "language is what we"


def test_events_of_openai() -> None:
    streamed = _streamed(
        b'event: transcript.text.delta\r\ndata: {"type": "transcript.text.delta", "delta": "Hel"}\r\n\r\n',
        b'data: {"type": "transcript.text.delta", "delta": "lo"}\n\n: a comment\n\n',
        b'data: {"type": "transcript.text.done", "text": "Hello."}\n\n',
    )
    assert (streamed.text, streamed.is_whole) == ("Hello.", True)


def test_events_of_vllm() -> None:
    chunk = b'data: {"object": "transcription.chunk", "choices": [{"delta": {"content": "%s"}}]}\n\n'
    usage = b'data: {"choices": [], "usage": {"total_tokens": 7}}\n\n'
    streamed = _streamed(chunk % b" Hel", chunk % b"lo", usage, b"data: [DONE]\n\n")
    assert (streamed.text, streamed.is_whole) == (" Hello", True)


def test_events_of_speaches() -> None:
    streamed = _streamed(b'data: {"text": "Hello there."}\n\ndata: {"text": "How are you?"}\n\n')
    assert (streamed.text, streamed.is_whole) == ("Hello there. How are you?", True)


def test_segments_without_spaces_stay_without() -> None:
    assert _streamed('data: {"text": "你好。"}\n\ndata: {"text": "世界"}\n\n'.encode()).text == "你好。世界"


def test_events_may_be_cut_anywhere() -> None:
    whole = 'data: {"type": "transcript.text.delta", "delta": "ಕನ್ನಡ"}\n\ndata: [DONE]\n\n'.encode()
    for size in (1, 2, 3, 7):
        streamed = _streamed(*(whole[begin : begin + size] for begin in range(0, len(whole), size)))
        assert (streamed.text, streamed.is_whole) == ("ಕನ್ನಡ", True)


@pytest.mark.parametrize(
    "events",
    [
        b"",
        b'data: {"type": "transcript.text.delta", "delta": "Hel"}\n\n',
        b'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n',
        b'data: {"error": {"message": "out of memory"}}\n\ndata: [DONE]\n\n',
    ],
)
def test_what_broke_off_is_not_whole(events: bytes) -> None:
    assert not _streamed(events).is_whole


@pytest.mark.parametrize(
    "event",
    [
        b"{",
        b"[]",
        b'{"type": "transcript.text.delta", "delta": 7}',
        b'{"text": null}',
        b'{"type": "transcript.text.done"}',
    ],
)
def test_what_is_no_event_of_a_transcription_is_an_error(event: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        _streamed(b"data: " + event + b"\n\n")
