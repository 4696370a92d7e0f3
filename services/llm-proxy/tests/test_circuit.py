"""An upstream is left after failures, looked at with growing gaps, tried once, and used again."""

from __future__ import annotations

import pytest

from voxmesh_llm_proxy.circuit import FIRST_WAIT_S, MAX_WAIT_S, Circuit, State

pytestmark = pytest.mark.unit


class Now:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def opened(failures: int = 2) -> tuple[Circuit, Now, list[State]]:
    now, states = Now(), list[State]()
    circuit = Circuit(failures, now, lambda: states.append(circuit.state))
    for _ in range(failures):
        assert circuit.allows
        circuit.failed("HTTP 503")
    return circuit, now, states


def test_failures_one_after_another_open_it_and_an_answer_between_them_does_not() -> None:
    circuit, _, states = opened()
    assert (circuit.state, circuit.allows, circuit.problem, states) == (State.OPEN, False, "HTTP 503", [State.OPEN])
    circuit = Circuit(2, Now())
    circuit.failed("a")
    circuit.succeeded()
    circuit.failed("b")
    assert circuit.allows


def test_one_request_tries_it_once_it_answers_and_its_answer_closes_it() -> None:
    circuit, _, states = opened()
    circuit.answers()
    with circuit.trial():
        assert not circuit.allows
        circuit.succeeded()
    assert (circuit.state, circuit.problem) == (State.CLOSED, "")
    assert states == [State.OPEN, State.HALF_OPEN, State.CLOSED]


def test_a_trial_that_fails_opens_it_for_longer_and_one_that_is_given_up_leaves_it_to_the_next() -> None:
    circuit, now, _ = opened()
    assert circuit.look_in_s == FIRST_WAIT_S
    now.s += FIRST_WAIT_S
    assert circuit.look_in_s == 0
    circuit.answers()
    with pytest.raises(KeyboardInterrupt), circuit.trial():
        raise KeyboardInterrupt
    assert circuit.allows
    with circuit.trial():
        circuit.failed("again")
    assert (circuit.state, circuit.look_in_s) == (State.OPEN, 2 * FIRST_WAIT_S)
    for _ in range(20):
        circuit.open("away", is_again=True)
    assert circuit.look_in_s == MAX_WAIT_S


def test_requests_that_were_under_way_when_it_opened_change_nothing() -> None:
    circuit, _, states = opened()
    circuit.failed("late")
    assert (circuit.problem, states) == ("HTTP 503", [State.OPEN])
