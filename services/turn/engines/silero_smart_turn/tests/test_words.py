"""Words tell whether a turn is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import ModelUnavailableError
from voxmesh_runtime.settings import ServerSettings
from voxmesh_turn.engine import Transcript
from voxmesh_turn_silero_smart_turn.engine import SileroSmartTurn
from voxmesh_turn_silero_smart_turn.settings import SileroSmartTurnSettings
from voxmesh_turn_silero_smart_turn.words import MAX_CHARACTERS, SmolWords, WordSlots, latest

pytestmark = pytest.mark.engine

CONTEXT = EngineContext(cache_dir=ServerSettings().cache_dir)


@pytest.fixture(scope="module")
def words() -> Iterator[SmolWords]:
    """The loaded model."""
    judge = SmolWords(CONTEXT, None)
    judge.load()
    judge.load()
    yield judge
    judge.close()


def probability(words: SmolWords, text: str, language_code: str = "en") -> float | None:
    (found,) = words.judge([Transcript(text, language_code)])
    return found


@pytest.mark.parametrize(
    ("whole", "part"),
    [
        ("What is the capital of Norway?", "What is the capital of"),
        ("Turn off the lights in the kitchen.", "Turn off the lights in the"),
        ("I have two brothers and a sister.", "I have two brothers and a"),
        ("Yeah.", "Because"),
    ],
)
def test_a_text_that_may_end_is_told_from_one_that_may_not(words: SmolWords, whole: str, part: str) -> None:
    finished, unfinished = probability(words, whole), probability(words, part)
    assert finished is not None
    assert unfinished is not None
    assert finished > unfinished + 0.4


def test_the_recognisers_full_stop_says_nothing(words: SmolWords) -> None:
    assert probability(words, "What is the capital of.") == probability(words, "What is the capital of")


def test_of_a_long_turn_the_end_counts(words: SmolWords) -> None:
    before = "Yesterday I went to the market and bought apples. " * 200
    finished, unfinished = probability(words, before + "They were good."), probability(words, before + "They were")
    assert finished is not None
    assert unfinished is not None
    assert finished > unfinished


@pytest.mark.parametrize("language_code", ["", "de", "hi-IN"])
def test_words_of_other_languages_tell_nothing(words: SmolWords, language_code: str) -> None:
    assert probability(words, "Was ist die Hauptstadt von", language_code) is None


def test_words_outweigh_the_sound_and_the_sound_decides_where_they_are_in_doubt(words: SmolWords) -> None:
    assert words.weigh(0.99, 0.02) < 0.5 < words.weigh(0.01, 0.98)
    assert words.weigh(0.02, 0.55) < 0.5 < words.weigh(0.98, 0.45)


def test_the_start_of_a_long_text_moves_seldom() -> None:
    text = " ".join(f"word{number}" for number in range(300))
    kept = [latest(text[:length]) for length in range(1, len(text), 3)]
    assert max(map(len, kept)) <= MAX_CHARACTERS
    assert len({each[:6] for each in kept if len(each) > 6}) <= len(text) // (MAX_CHARACTERS // 2) + 1


def test_turns_that_are_spoken_at_once_are_each_remembered() -> None:
    slots = WordSlots(3)
    one, other = slots.take("What is"), slots.take("Please tell")
    assert one != other
    assert slots.take("What is the capital") == one
    assert slots.take("Please tell me") == other
    assert slots.take("What") not in {one, other}
    assert slots.take("Please tell me how") == other


def test_the_turn_that_was_silent_for_longest_is_forgotten_first() -> None:
    slots = WordSlots(2)
    first, second = slots.take("One"), slots.take("Two")
    assert slots.take("One more") == first
    assert slots.take("Another") == second
    assert slots.take("Then") == first


def test_an_engine_without_words_loads_no_model_of_them() -> None:
    engine = SileroSmartTurn(CONTEXT, SileroSmartTurnSettings(words=False))
    assert engine.words is None
    assert "smollm2" not in engine.info.facts.model


@pytest.mark.parametrize("model", ["nowhere:else", "wheel:a==1/b"])
def test_a_model_that_is_no_source_is_refused(model: str) -> None:
    with pytest.raises(FailedPrecondition):
        SmolWords(CONTEXT, model)


def test_a_file_that_is_not_there_or_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="no-such-file"):
        SmolWords(CONTEXT, "path:no-such-file.gguf").load()
    path = tmp_path / "text.gguf"
    path.write_text("no model")
    with pytest.raises(FailedPrecondition, match=r"text\.gguf"):
        SmolWords(CONTEXT, str(path)).load()
