"""What is said over a reply interrupts it only if it is meant to."""

import pytest

from voxmesh_coordinator.settings import BACKCHANNELS, INTERRUPTIONS
from voxmesh_coordinator.turn.overlap import Overlap, Source, judge

pytestmark = pytest.mark.unit

BEING_SAID = "The capital of France is Paris, a large city on the river Seine."


@pytest.mark.parametrize("said", ["", " ", "...", "?"])
def test_no_word_is_nothing(said: str) -> None:
    assert judge(said, BEING_SAID, BACKCHANNELS) is Overlap.NOTHING


@pytest.mark.parametrize("said", ["Mm-hm.", "Right.", "Yeah, right.", "Uh huh. I see.", "Okay okay", "Got it!"])
def test_murmurs_go_along(said: str) -> None:
    assert judge(said, BEING_SAID, BACKCHANNELS) is Overlap.BACKCHANNEL


@pytest.mark.parametrize(
    "said", ["Stop.", "No.", "Wait", "What about Italy?", "Yeah, but what about Italy?", "Right now"]
)
def test_anything_else_interrupts(said: str) -> None:
    assert judge(said, BEING_SAID, BACKCHANNELS) is Overlap.INTERRUPTION


@pytest.mark.parametrize("said", ["the capital of France is", "Paris a large city on the river", "capital of France"])
def test_the_replys_own_words_are_its_echo(said: str) -> None:
    assert judge(said, BEING_SAID, BACKCHANNELS) is Overlap.ECHO


def test_a_few_words_of_the_reply_in_a_question_are_no_echo() -> None:
    assert judge("and what is the capital of Italy then", BEING_SAID, BACKCHANNELS) is Overlap.INTERRUPTION


def test_nothing_is_an_echo_while_nothing_is_said() -> None:
    assert judge("the capital of France", "", BACKCHANNELS) is Overlap.INTERRUPTION


def test_the_last_word_of_an_interim_transcript_decides_nothing() -> None:
    assert judge("Stop", BEING_SAID, BACKCHANNELS, is_final=False) is Overlap.NOTHING
    assert judge("The capitol", BEING_SAID, BACKCHANNELS, is_final=False) is Overlap.ECHO
    assert judge("Stop talk", BEING_SAID, BACKCHANNELS, is_final=False) is Overlap.INTERRUPTION


@pytest.mark.parametrize("said", ["King Eatonaxu.", "Brie son", "And parking who had no."])
def test_what_sounds_like_the_reply_is_its_echo_whatever_was_understood(said: str) -> None:
    assert judge(said, BEING_SAID, BACKCHANNELS, source=lambda: Source.REPLY) is Overlap.ECHO


@pytest.mark.parametrize("said", ["Stop.", "A large city on the river?"])
def test_a_persons_voice_interrupts_with_the_replys_words_too(said: str) -> None:
    assert judge(said, BEING_SAID, BACKCHANNELS, source=lambda: Source.PERSON) is Overlap.INTERRUPTION


def test_a_persons_murmur_is_still_one() -> None:
    assert judge("Mm-hm.", BEING_SAID, BACKCHANNELS, source=lambda: Source.PERSON) is Overlap.BACKCHANNEL


def test_too_little_sound_decides_nothing_yet() -> None:
    assert judge("Stop that", BEING_SAID, BACKCHANNELS, source=lambda: Source.TOO_SHORT) is Overlap.NOTHING


@pytest.mark.parametrize("said", ["Stop.", "No, wait!", "Hold on"])
def test_one_word_that_means_to_interrupt_does_though_its_sound_is_a_little_like_the_reply(said: str) -> None:
    def verdict(words: str, being_said: str) -> Overlap:
        return judge(words, being_said, BACKCHANNELS, source=lambda: Source.LIKELY_REPLY, interruptions=INTERRUPTIONS)

    assert verdict(said, BEING_SAID) is Overlap.INTERRUPTION
    assert verdict(said, f"They cried {said}") is Overlap.ECHO
    assert verdict("Help us", BEING_SAID) is Overlap.ECHO
