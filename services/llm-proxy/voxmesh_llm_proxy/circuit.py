"""Whether one upstream is asked: it is left after failures, looked at, tried by one request, and used again.

CLOSED ──failures──► OPEN ──it answers a look──► HALF_OPEN ──the trial passes──► CLOSED
▲                              │
└────────the trial fails───────┘
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import Enum, auto

FIRST_WAIT_S = 0.5
MAX_WAIT_S = 30.0


class State(Enum):
    """Whether requests pass."""

    CLOSED = auto()
    OPEN = auto()
    HALF_OPEN = auto()


class Circuit:
    """What is known against one upstream.

    Args:
        failures: as many, one after another, open it.
        now: seconds that only grow.
        on_change: called when `state` is another one.
    """

    def __init__(self, failures: int, now: Callable[[], float], on_change: Callable[[], None] = lambda: None) -> None:
        self._limit = failures
        self._now = now
        self._on_change = on_change
        self._failed = 0
        self._wait_s = FIRST_WAIT_S
        self._opened_at = 0.0
        self._is_tried = False
        self.state = State.CLOSED
        self.problem = ""
        """Why it was left; empty while it is closed."""

    @property
    def allows(self) -> bool:
        """A request may pass; while it is half open only one at a time."""
        return self.state is State.CLOSED or (self.state is State.HALF_OPEN and not self._is_tried)

    @property
    def look_in_s(self) -> float:
        """Time until somebody should look whether it answers, in seconds."""
        return max(0.0, self._opened_at + self._wait_s - self._now())

    @contextmanager
    def trial(self) -> Generator[None]:
        """The time of one request; while it is half open no other passes."""
        is_trial = self.state is State.HALF_OPEN
        self._is_tried = self._is_tried or is_trial
        try:
            yield
        finally:
            if is_trial:
                self._is_tried = False

    def succeeded(self) -> None:
        """A request was answered."""
        self._failed, self._wait_s, self.problem = 0, FIRST_WAIT_S, ""
        self._turn(State.CLOSED)

    def failed(self, problem: str) -> None:
        """A request was not answered, or its answer broke off."""
        self._failed += 1
        if self.state is State.CLOSED and self._failed >= self._limit:
            self.open(problem)
        elif self.state is State.HALF_OPEN:
            self.open(problem, is_again=True)

    def open(self, problem: str, *, is_again: bool = False) -> None:
        """Leave it; `is_again` waits twice as long as before until the next look."""
        self._wait_s = min(2 * self._wait_s, MAX_WAIT_S) if is_again else self._wait_s
        self._opened_at, self.problem = self._now(), problem
        self._turn(State.OPEN)

    def answers(self) -> None:
        """It answers a look: one request may try it."""
        if self.state is State.OPEN:
            self._turn(State.HALF_OPEN)

    def _turn(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self._on_change()
