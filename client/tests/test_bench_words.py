"""Error rates against numbers worked out by hand, and the steadiness of interim results."""

from __future__ import annotations

import pytest

from voxmesh_client.bench.interims import Shown, Stability, stability
from voxmesh_client.bench.words import ErrorRate, score, total

pytestmark = pytest.mark.unit


def test_words_and_characters_are_counted() -> None:
    # One word replaced, one missing, one too many; "a b" -> "ax b" and so on by characters.
    found = score("the cat sat on mats", "the bat sat mats now", "en")
    assert found.words == ErrorRate(3, 5)
    assert found.words.rate == pytest.approx(0.6)
    # cat -> bat (1), "on " gone (3), " now" added (4), of 19 characters.
    assert found.characters == ErrorRate(8, 19)


def test_case_punctuation_spelling_and_numbers_do_not_count_in_english() -> None:
    assert score("Mr. Jones isn't twenty-one; colour!", "mister jones is not 21 color", "en-GB").words.errors == 0


def test_other_languages_keep_their_words_and_marks() -> None:
    assert score("Grüß Gott, Straße!", "grüß gott straße", "de").words == ErrorRate(0, 3)
    # Without its vowel signs the second word would be the same.
    assert score("मेरा नाम", "मेरा नम", "hi").words == ErrorRate(1, 2)


def test_without_spaces_each_character_is_a_word() -> None:
    found = score("你好世界。", "你 好 视界", "zh-CN")
    assert found.words == found.characters == ErrorRate(1, 4)


def test_long_clips_weigh_more() -> None:
    both = total([score("a b c d e f g h i", "a b c d e f g h i", "de"), score("x", "y", "de")])
    assert both.words.rate == pytest.approx(0.1)


def test_words_that_nobody_said_are_errors_without_a_rate() -> None:
    found = score("", "thank you", "en").words
    assert found == ErrorRate(2, 0)
    assert found.rate is None


def shown(*texts: str, final: str | None = None, stable: tuple[int, ...] = (), utterance: int = 0) -> list[Shown]:
    counts = stable or (0,) * len(texts)
    interims = [Shown(0.0, utterance, text, False, count) for text, count in zip(texts, counts, strict=True)]
    return interims if final is None else [*interims, Shown(1.0, utterance, final, True)]


def test_text_that_only_grows_is_steady() -> None:
    found = stability(shown("he", "He was", final="He was not."))
    assert (found.words_shown, found.words_changed) == (2, 0)
    assert found.changed_share == 0.0


def test_a_word_that_is_replaced_takes_those_behind_it_along() -> None:
    # "I use cloud code" -> "I use Claude code now": two words changed, three shown anew; the final drops one.
    found = stability(shown("I use cloud code", "I use Claude code now", final="I use Claude code"))
    assert (found.words_shown, found.words_changed) == (7, 3)
    assert found.changed_share == pytest.approx(3 / 7)


def test_utterances_do_not_mix() -> None:
    found = stability([*shown("one", final="one"), *shown("two", final="two", utterance=1)])
    assert (found.words_shown, found.words_changed) == (2, 0)


def test_promises_are_kept_by_interims_until_the_final() -> None:
    kept = stability(shown("he was", "he was not", final="he was not", stable=(3, 7)))
    assert (kept.promises, kept.promises_broken, kept.finals_unlike_promise) == (2, 0, 0)
    broken = stability(shown("he was", "she was", "she was not", final="she was not", stable=(3, 0, 4)))
    assert (broken.promises, broken.promises_broken, broken.broken_share) == (2, 1, 0.5)


def test_a_promise_of_more_text_than_there_is_cannot_be_kept() -> None:
    assert stability(shown("he", "he was", stable=(5, 0))).promises_broken == 1


def test_a_final_may_differ_from_a_promise_but_it_is_told() -> None:
    found = stability(shown("he was", "he was", final="He was", stable=(3, 0)))
    assert (found.promises_broken, found.finals_unlike_promise) == (0, 1)


def test_without_interims_there_are_no_shares() -> None:
    assert stability(shown(final="words")) == Stability()
    assert Stability().changed_share is None
    assert Stability().broken_share is None
