"""Text to phonemes, and which phonemes each written word is."""

from __future__ import annotations

from functools import cache

import pytest

from voxmesh_tts_kokoro.onnx_backend import vocabulary
from voxmesh_tts_kokoro.reading import MOST_AT_ONCE, PlacedWord, Reader, pieces

pytestmark = pytest.mark.engine


@cache
def reader(*, british: bool = False) -> Reader:
    return Reader(vocabulary(), british=british)


def test_a_british_voice_reads_otherwise_than_an_american_one() -> None:
    american, british = (reader(british=british).read("tomato")[0].phonemes for british in (False, True))
    assert american != british


def test_each_word_is_its_own_phonemes_without_punctuation() -> None:
    [reading] = reader().read('"Well," she said, "I can help."')
    spoken = [f"{word.text} {reading.phonemes[word.start : word.end]}" for word in reading.words]
    bare = [word.replace("\u02c8", "") for word in spoken]
    assert bare == ["Well wɛl", "she ʃi", "said sɛd", "I I", "can kæn", "help hɛlp"]


@pytest.mark.parametrize(
    ("clause", "words"),
    [
        ("It's state-of-the-art.", ["It's", "state-of-the-art"]),
        ("forty-eight dollars, at ten A.M.", ["forty-eight", "dollars", "at", "ten", "A.M"]),
        ("wait - no", ["wait", "no"]),
    ],
)
def test_words_are_as_they_are_written(clause: str, words: list[str]) -> None:
    [reading] = reader().read(clause)
    assert " ".join(word.text for word in reading.words) == " ".join(words)


@pytest.mark.parametrize("text", ["ಕನ್ನಡ", "你好。", "(", "'", "“”", "...", ""])
def test_what_cannot_be_spoken_has_no_phonemes(text: str) -> None:
    assert reader().read(text) == []


def test_what_the_dictionary_fails_on_does_not_silence_the_words_around_it() -> None:
    [reading] = reader().read("Hello \u2460Y there.")
    assert [word.text for word in reading.words] == ["Hello", "there"]


def test_a_long_clause_is_read_in_pieces_that_the_model_takes() -> None:
    readings = reader().read("nine " * 200)
    assert len(readings) > 1
    assert max(len(reading.phonemes) for reading in readings) <= MOST_AT_ONCE


def test_pieces_end_after_a_space_and_keep_their_words() -> None:
    words = [PlacedWord(str(start), start, start + 9) for start in range(0, 400, 10)]
    found = list(pieces("abcdefghi " * 40, words))
    assert [len(piece.phonemes) for piece in found] == [199, 199]
    assert [word.text for piece in found for word in piece.words] == [word.text for word in words]
    assert found[1].words[0] == PlacedWord("200", 0, 9)


def test_a_word_without_end_is_cut() -> None:
    found = list(pieces("a" * 450, [PlacedWord("long", 0, 450)]))
    assert [len(piece.phonemes) for piece in found] == [200, 200, 50]
    assert found[0].words == (PlacedWord("long", 0, 200),)
