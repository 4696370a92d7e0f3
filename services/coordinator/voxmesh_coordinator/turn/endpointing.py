"""Decide from pauses and probabilities when a person's turn is over, and learn how this person pauses."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from google.protobuf import duration_pb2

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_coordinator.turn.user_turn import Pause, UserTurn
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.refusals import check_range

MAX_WAIT_S = 10.0

SURE_PROBABILITY = 0.8
"""From here on a judgement that words are whole is hardly ever wrong."""
UNSURE_WAIT_S = 0.9
"""Silence after words that are rather whole than not: people who go on after such do so within 0.8 s."""
SHORT_ANSWER_WORDS = 3
"""So few are whole if they seem to be: nothing but the sound tells "Yeah." from the beginning of more."""
LEAST_UNFINISHED_WAIT_S = 1.0
"""However briskly somebody speaks, a pause in an unfinished sentence is left this long."""
REMEMBERED = 8
"""Pauses that count in what was learned."""
ENOUGH = 4
"""Pauses in unfinished sentences before anything is learned from them."""
MARGIN_S = 0.1
_GO_ON = (",", ":", "-", "\u2026")
"""What a recogniser writes after words that lead to more."""
_STOPS = (".", "?", "!", "\u3002", "\u0964")
"""What it writes after whole sentences."""
_WITHOUT_QUOTES = str.maketrans(dict.fromkeys("'\"\u2018\u2019\u201c\u201d", ""))
PREPARATION_S = 0.8
"""Time a reply takes to prepare: so long before the turn can end, preparing is worth it."""


@dataclass(frozen=True, slots=True)
class EndpointDecision:
    """What a pause calls for."""

    is_over: bool
    """The wait is over: the turn ends as soon as there is an answer."""
    is_judged: bool
    """It is known how likely the turn is over."""
    is_doubtful: bool
    """It is known, and it is not: a reply that was begun before goes nowhere yet."""
    is_worth_a_try: bool
    """The interim transcript is worth a reply, which is thrown away if it is not the final one."""
    is_worth_a_reply: bool
    """A final transcript and a reply to it are worth their cost."""


class Endpointing:
    """Waits of one session, in seconds of silence, between its bounds.

    A pause after what is surely complete ends the turn at the shorter wait, after what may be
    at one in between. If the person went on speaking after such pauses, the wait grows beyond
    the longest of them, and falls again once they are forgotten. A pause in what sounds
    unfinished ends it at the longer wait, which falls for somebody whose pauses are all short.
    """

    def __init__(
        self, min_wait_s: float, max_wait_s: float, probability: float, unfinished: Collection[str] = ()
    ) -> None:
        self.min_wait_s = min_wait_s
        self.max_wait_s = max_wait_s
        self._probability = probability
        self._unfinished = frozenset(unfinished)
        self._after_complete = deque[float](maxlen=REMEMBERED)
        self._after_unfinished = deque[float](maxlen=REMEMBERED)

    @classmethod
    def from_config(cls, config: conversation_pb2.ConversationConfig, settings: CoordinatorSettings) -> Endpointing:
        """The waits of a session.

        Raises:
            InvalidArgument: a wait is outside its limits, or they contradict.
        """
        min_s, max_s = settings.min_end_of_turn_wait_s, settings.max_end_of_turn_wait_s
        if config.HasField("min_end_of_turn_wait"):
            min_s = _wait_s(config.min_end_of_turn_wait, "config.min_end_of_turn_wait")
        if config.HasField("max_end_of_turn_wait"):
            max_s = _wait_s(config.max_end_of_turn_wait, "config.max_end_of_turn_wait")
        if min_s > max_s:
            raise InvalidArgument(
                "config.min_end_of_turn_wait", f"{min_s:g} s is longer than max_end_of_turn_wait, {max_s:g} s"
            )
        return cls(min_s, max_s, settings.end_of_turn_probability, settings.unfinished_endings)

    def believed(self, probability: float | None, text: str) -> float | None:
        """The probability that a turn is over, in the light of its words: nobody stops at "the"."""
        return 0.0 if probability is not None and self._is_unfinished(text) else probability

    def outlook(self, pause: Pause, turn: UserTurn) -> EndpointDecision:
        """What the pause in a turn calls for by now."""
        words = turn.words
        probability = self.believed(pause.verdict(turn.latest_words), words)
        is_judged = probability is not None
        # What is not judged yet mostly will be before a first try has cost much.
        is_promising = not is_judged or self.is_likely(probability)
        return EndpointDecision(
            is_over=pause.silence_s >= self.wait_s(probability, words),
            is_judged=is_judged,
            is_doubtful=is_judged and not is_promising,
            is_worth_a_try=is_promising and self.sounds_complete(words),
            is_worth_a_reply=is_judged and pause.silence_s >= self.prepare_s(probability, words),
        )

    def sounds_complete(self, text: str) -> bool:
        """A recogniser wrote it as whole sentences: maybe worth a reply before the turn is judged."""
        return text.endswith(_STOPS) and not self._is_unfinished(text)

    def is_likely(self, probability: float | None) -> bool:
        """A turn of this probability counts as over; not so before it is known."""
        return probability is not None and probability >= self._probability

    def wait_s(self, probability: float | None, text: str) -> float:
        """Silence that ends the turn, by the probability that it is over; None before it is known."""
        if self.is_likely(probability):
            learned = max(self._after_complete, default=0.0)
            wait_s = learned + MARGIN_S if learned else self.min_wait_s
            return self._bounded(wait_s if is_sure(probability, text) else max(wait_s, UNSURE_WAIT_S))
        if len(self._after_unfinished) < ENOUGH:
            return self.max_wait_s
        return self._bounded(max(LEAST_UNFINISHED_WAIT_S, 1.5 * max(self._after_unfinished) + MARGIN_S))

    def prepare_s(self, probability: float | None, text: str) -> float:
        """Silence from which a reply to a final transcript is worth preparing: sooner it cuts sentences in two."""
        wait_s = self.wait_s(probability, text)
        return wait_s if self.is_likely(probability) else max(self.min_wait_s, wait_s - PREPARATION_S)

    def went_on(self, probability: float | None, silence_s: float) -> None:
        """The person spoke again after a pause in which the turn was not over."""
        if self.is_likely(probability):
            self._after_complete.append(min(silence_s, self.max_wait_s))
        else:
            self._after_unfinished.append(min(silence_s, self.max_wait_s))

    def ended(self, probability: float | None) -> None:
        """The turn ended and nothing spoke against it."""
        if self.is_likely(probability):
            self._after_complete.append(0.0)

    def _is_unfinished(self, text: str) -> bool:
        last = text.rpartition(" ")[2].lower().translate(_WITHOUT_QUOTES)
        return last.endswith(_GO_ON) or last in self._unfinished

    def _bounded(self, wait_s: float) -> float:
        return min(max(wait_s, self.min_wait_s), self.max_wait_s)


def is_sure(probability: float | None, text: str) -> bool:
    """A turn that is likely over is so beyond doubt, by its words too."""
    is_short = len(text.split()) <= SHORT_ANSWER_WORDS
    return probability is not None and (is_short or probability >= SURE_PROBABILITY)


def _wait_s(value: duration_pb2.Duration, field: str) -> float:
    wait_s = seconds_of(value)
    check_range(field, wait_s, 0, MAX_WAIT_S, "s")
    return wait_s
