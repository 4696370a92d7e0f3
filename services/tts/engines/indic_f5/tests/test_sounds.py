"""How long texts of all scripts take to say."""

from __future__ import annotations

import pytest

from voxmesh_tts_indic_f5.engine import spoken_frames
from voxmesh_tts_indic_f5.sounds import beginning, pieces, sayable, sounds

pytestmark = pytest.mark.unit

WORDS = {
    "kn": ("ನಮಸ್ಕಾರ", 9),  # na ma s kaa ra
    "te": ("నమస్కారం", 10),
    "ml": ("നമസ്കാരം", 10),
    "ta": ("வணக்கம்", 8),  # va na k ka m
    "or": ("ନମସ୍କାର", 9),
    "hi": ("नमस्कार", 8),  # the last vowel is silent
    "mr": ("नमस्कार", 8),
    "bn": ("নমস্কার", 8),
    "as": ("নমস্কাৰ", 8),
    "gu": ("નમસ્કાર", 8),
    "pa": ("ਨਮਸਕਾਰ", 9),  # sa is written without a virama
}


@pytest.mark.parametrize("language", WORDS)
def test_a_word_has_as_many_sounds_in_every_script(language: str) -> None:
    word, count = WORDS[language]
    assert sounds(word) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("...", 0),
        ("?!", 0),
        ("क", 2),  # alone, its vowel is heard
        ("है", 2),
        ("क्या", 3),
        ("अब", 2),
        ("നന്ദി", 5),
        ("അവൻ", 4),  # ends with a letter that has no vowel
        ("ক্ষমা", 5),
        ("सत्\u200dकार", 6),  # a joiner is silent
        ("क़लम", 5),  # a dot changes the letter
        ("hello", 4.25),
        ("USB", 6),  # each letter is named
        ("USB.", 6),
        ("A", 0.85),
        ("48", 8),
        ("೪೮", 8),
        ("₹48", 12),
        ("ಹೌದು, ಇದು ಸರಿ.", 4 + 3 + 3 + 4),  # the comma is a pause, the last stop is not
        ("ಹೌದು. ಇದು ಸರಿ", 4 + 4 + 3 + 4),
        ("हाँ। ठीक है।", 3 + 4 + 3 + 2),
        ("3.14 km", 12 + 2 * 0.85),
    ],
)
def test_sounds_of_a_text(text: str, count: float) -> None:
    assert sounds(text) == pytest.approx(count)


def test_english_words_within_kannada_take_their_own_time_whatever_their_bytes() -> None:
    kannada, english = "ನಮಸ್ಕಾರ", "namaskara"
    assert len(kannada.encode()) > 2 * len(english)
    assert sounds(kannada) / sounds(english) == pytest.approx(1.0, abs=0.2)
    assert sounds(f"{kannada} {english}") == sounds(kannada) + sounds(english)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ಕನ್ನಡ 你好 नमस्ते مرحبا", "ಕನ್ನಡ नमस्ते"),
        ("ok 🙂 👍🏽", "ok"),
        ("\uff11\uff12 \u00bd", "12 1 2"),
        ("so\u00adft\u202ely", "softly"),
        ("a\n b\t c", "a b c"),
        ("ಕ\u0cc6\u0cc2", "ಕೊ"),  # composed, as vocabularies have it
        ("x = y", "x y"),
    ],
)
def test_what_the_model_cannot_say_is_left_out(text: str, said: str) -> None:
    assert sayable(text) == said


@pytest.mark.parametrize(
    ("text", "rate", "seconds"),
    [
        ("ನಮಸ್ಕಾರ ನಮಸ್ಕಾರ", 1.0, 1.8),
        ("ನಮಸ್ಕಾರ ನಮಸ್ಕಾರ", 2.0, 0.9),
        ("ನಮಸ್ಕಾರ ನಮಸ್ಕಾರ", 0.5, 3.6),
        ("ಇಲ್ಲ", 1.0, 0.6),  # the least that the model says whole
        ("ಇಲ್ಲ", 2.0, 0.3),
    ],
)
def test_a_clause_lasts_as_its_sounds_do_in_the_voice(text: str, rate: float, seconds: float) -> None:
    assert spoken_frames(text, 0.1, rate) == pytest.approx(seconds * 24000 / 256, abs=1)


@pytest.mark.parametrize("text", ["ಬೆಂಗಳೂರು ಕರ್ನಾಟಕದ ರಾಜಧಾನಿ. " * 9, "9" * 60, "a" * 300, "ಕ್ಷ್ಮಿ" * 40, "ok"])
def test_a_long_text_is_cut_into_pieces_that_hold_all_of_it(text: str) -> None:
    parts = pieces(sayable(text), 50)
    assert "".join(parts).replace(" ", "") == sayable(text).replace(" ", "")
    # Letters that join are not cut.
    assert max(sounds(part) for part in parts) <= 50 + 4
    assert len(parts) <= sounds(text) / 50 * 1.5 + 1


def test_a_piece_does_not_begin_within_a_letter() -> None:
    assert {part[0] for part in pieces("ಕ್ಷ್ಮೀಲೀ" * 30, 20)} <= {"ಕ", "ಲ"}


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.1, "ಬೆಂಗಳೂರು"),
        (0.6, "ಬೆಂಗಳೂರು ಕರ್ನಾಟಕದ ರಾಜಧಾನಿ."),
        (0.7, "ಬೆಂಗಳೂರು ಕರ್ನಾಟಕದ ರಾಜಧಾನಿ."),
        (1.0, "ಬೆಂಗಳೂರು ಕರ್ನಾಟಕದ ರಾಜಧಾನಿ. ಇದು ದೊಡ್ಡ ನಗರ."),
    ],
)
def test_the_beginning_of_a_text_ends_with_a_clause_where_one_is_near(share: float, words: str) -> None:
    assert beginning("ಬೆಂಗಳೂರು ಕರ್ನಾಟಕದ ರಾಜಧಾನಿ. ಇದು ದೊಡ್ಡ ನಗರ.", share) == words
