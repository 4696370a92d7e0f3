"""Which words of a reply were heard."""

import pytest

from voxmesh.session.v1 import session_pb2
from voxmesh_coordinator.reply.playout_tracker import PlayoutTracker

pytestmark = pytest.mark.unit

TEXT = "Paris is the capital. It is large."


def playout() -> PlayoutTracker:
    """Two clauses of one second each, in pieces of 100 ms."""
    made = PlayoutTracker()
    made.text = TEXT
    for number in range(20):
        start, end = (0, 21) if number < 10 else (22, 34)
        made.sent(session_pb2.SpokenPiece(text_start=start, text_end=end, offset_s=number / 10, duration_s=0.1))
    return made


def test_nothing_played_is_nothing_heard() -> None:
    heard = playout()
    heard.played(0.0)
    assert heard.heard_text() == ""


def test_a_clause_that_was_played_whole_was_heard_whole() -> None:
    heard = playout()
    heard.played(1.0)
    assert heard.heard_text() == "Paris is the capital."


def test_half_a_clause_is_heard_in_whole_words() -> None:
    heard = playout()
    heard.played(0.5)
    assert heard.heard_text() == "Paris is"


def test_all_played_is_all_heard() -> None:
    heard = playout()
    heard.played(2.0)
    assert heard.heard_text() == TEXT


def test_positions_never_go_back_nor_past_what_was_sent() -> None:
    heard = playout()
    heard.played(1.0)
    heard.played(0.2)
    assert heard.position_s() == 1.0
    heard.played(99.0)
    assert heard.position_s() == pytest.approx(2.0)


def test_without_positions_time_tells() -> None:
    assert playout().position_s() < 0.5
    assert PlayoutTracker().position_s() == 0.0


def test_word_times_say_which_words_were_heard() -> None:
    heard = playout()
    for word, start_s in (("Paris", 0.0), ("is", 0.8), ("the", 0.85), ("capital", 0.9), ("It", 1.0), ("is", 1.5)):
        heard.timed(word, start_s)
    heard.played(0.7)
    assert heard.heard_text() == "Paris"
    heard.played(1.2)
    assert heard.heard_text() == "Paris is the capital. It"


def test_beyond_the_last_timed_word_the_share_of_the_clause_tells() -> None:
    heard = playout()
    heard.timed("Paris", 0.0)
    heard.played(2.0)
    assert heard.heard_text() == TEXT


def test_what_is_being_said_reaches_a_little_further_than_what_was_heard() -> None:
    heard = playout()
    heard.played(0.5)
    assert heard.being_said().startswith("Paris is the capital.")
