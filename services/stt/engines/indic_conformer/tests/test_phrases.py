"""Phrases are followed letter by letter, and change only what they are about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from voxmesh_runtime.outcomes import Kind
from voxmesh_stt.engine import Phrase, RecognitionOptions
from voxmesh_stt_indic_conformer.biasing import Trees, unbiased, usable
from voxmesh_stt_indic_conformer.files import Decoder
from voxmesh_stt_indic_conformer.model import Model, Speech
from voxmesh_stt_indic_conformer.phrases import PhraseTree, unknown_letters

pytestmark = pytest.mark.unit

VOCABULARY = ["<unk>", "\u2581", "\u2581ka", "k", "a", "\u2581ma", "la", "l", "\u2581k"]

GetModel = Callable[[Decoder], Model]
GetClip = Callable[[str], Speech]


def _favoured(tree: PhraseTree, *tokens: int) -> dict[int, float]:
    place = tree.start()
    for token in tokens:
        place = tree.after(place, token)
    bonus = tree.bonus(place)
    return {int(token): float(bonus[token]) for token in np.flatnonzero(bonus)}


def test_every_way_to_spell_a_phrase_is_favoured() -> None:
    tree = PhraseTree([Phrase("kala")], VOCABULARY, 1.0)
    begin = {2: 2.0, 8: 1.0}
    assert _favoured(tree) == begin
    assert _favoured(tree, 1) == {**begin, 3: 1.0}
    assert _favoured(tree, 8) == {**begin, 4: 1.0}
    assert _favoured(tree, 2) == {**begin, 6: 2.0, 7: 1.0}


def test_a_wrong_turn_leaves_the_beginnings_alone() -> None:
    tree = PhraseTree([Phrase("kala")], VOCABULARY, 1.0)
    assert _favoured(tree, 2, 3) == _favoured(tree)


def test_the_stronger_of_two_phrases_counts_where_they_agree() -> None:
    tree = PhraseTree([Phrase("ka", 3.0), Phrase("kala", 1.0)], VOCABULARY, 1.0)
    assert _favoured(tree)[2] == 6.0
    assert _favoured(tree, 2)[6] == 2.0


def test_words_of_a_phrase_follow_one_another() -> None:
    tree = PhraseTree([Phrase("ka ma")], VOCABULARY, 1.0)
    assert _favoured(tree, 2)[5] == 2.0
    assert 5 not in _favoured(tree)


def test_letters_that_no_token_holds_are_found() -> None:
    assert unknown_letters("kala ma", VOCABULARY) == ""
    assert unknown_letters("Claude", VOCABULARY) == "Cude"
    assert unknown_letters("<unk>", VOCABULARY) == "<un>"


def test_a_misheard_name_is_heard_with_its_phrase(model: GetModel, clip: GetClip) -> None:
    plain, biased = model("rnnt").transcribe([clip("claude"), _biased(model("rnnt"), clip("claude"), "क्लॉड")])
    assert plain.text == "नमस्ते क्लाउड"
    assert biased.text == "नमस्ते क्लॉड"


def test_phrases_that_were_not_said_change_nothing(model: GetModel, clip: GetClip) -> None:
    for name in ("numbers", "greeting", "two"):
        plain, biased = model("rnnt").transcribe([clip(name), _biased(model("rnnt"), clip(name), "क्लॉड", "मौसम")])
        assert biased == plain


def test_phrases_put_no_words_into_silence(model: GetModel) -> None:
    silence = Speech(np.zeros(16000, np.float32), "hi")
    plain, biased = model("rnnt").transcribe([silence, _biased(model("rnnt"), silence, "क्लॉड", "दो")])
    assert biased == plain


def test_phrases_that_cannot_be_written_are_told_one_by_one() -> None:
    phrases = tuple(Phrase(text) for text in ("kala", "Claude", "ma", "mü"))
    kept, outcomes = usable(RecognitionOptions(phrases=phrases, context="x"), "kn", VOCABULARY)
    assert [phrase.text for phrase in kept.phrases] == ["kala", "ma"]
    assert {outcome.field: outcome.kind for outcome in outcomes} == {
        "config.biasing.phrases": Kind.APPLIED,
        "config.biasing.phrases[1]": Kind.IGNORED,
        "config.biasing.phrases[3]": Kind.IGNORED,
        "config.biasing.context": Kind.IGNORED,
    }
    assert "C u d e" in outcomes[1].detail


def test_the_ctc_decoder_tells_that_it_takes_none() -> None:
    kept, outcomes = unbiased(RecognitionOptions(phrases=(Phrase("kala"),), context="x"), "kn")
    assert kept.phrases == ()
    fields = ["config.biasing.phrases", "config.biasing.context"]
    assert [(outcome.field, outcome.kind) for outcome in outcomes] == [(field, Kind.IGNORED) for field in fields]
    assert unbiased(RecognitionOptions(), "kn")[1] == []


def test_streams_with_the_same_phrases_share_a_tree() -> None:
    trees = Trees({"kn": VOCABULARY}, 1.0)
    same, _ = usable(RecognitionOptions(phrases=(Phrase("kala"),)), "kn", VOCABULARY)
    other, _ = usable(RecognitionOptions(phrases=(Phrase("kala", 2.0),)), "kn", VOCABULARY)
    none, _ = usable(RecognitionOptions(), "kn", VOCABULARY)
    assert trees.take(same) is trees.take(same)
    assert trees.take(other) is not trees.take(same)
    assert trees.take(none) is None
    for taken in (same, same, same, other, none):
        trees.give_back(taken)


@pytest.mark.timeout(30)
def test_thousands_of_phrases_take_seconds_at_most(model: GetModel) -> None:
    vocabulary = model("ctc").vocabulary["hi"]
    letters = [text for text in vocabulary if len(text) == 1 and text.isalpha()]
    chance = np.random.default_rng(seed=1)
    phrases = [Phrase("".join(chance.choice(letters, 12))) for _ in range(5000)]
    tree = PhraseTree(phrases, vocabulary, 1.0)
    assert tree.bonus(tree.start()).any()


def _biased(model: Model, speech: Speech, *phrases: str) -> Speech:
    tree = PhraseTree([Phrase(text) for text in phrases], model.vocabulary[speech.language], 1.0)
    return replace(speech, phrases=tree)
