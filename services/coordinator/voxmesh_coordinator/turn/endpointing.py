"""Decide from pauses and probabilities when a person's turn is over, and learn how this person pauses."""

from __future__ import annotations

from dataclasses import dataclass, replace

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

    over_s: float
    """Silence after which the turn ends as soon as there is an answer."""
    reply_s: float | None
    """Silence after which a final transcript and a reply to it are worth their cost; None before it is judged."""
    is_doubtful: bool
    """It is known how likely the turn is over, and it is not: a reply that was begun before goes nowhere yet."""
    is_worth_a_try: bool
    """The interim transcript is worth a reply, which is thrown away if it is not the final one."""

    @property
    def is_judged(self) -> bool:
        """It is known how likely the turn is over."""
        return self.reply_s is not None


@dataclass(frozen=True, slots=True)
class Endpointing:
    """Waits of one session, in seconds of silence, between its bounds, and what was learned of them.

    A pause after what is surely complete ends the turn at the shorter wait, after what may be
    at one in between. If the person went on speaking after such pauses, the wait grows beyond
    the longest of them, and falls again once they are forgotten. A pause in what sounds
    unfinished ends it at the longer wait, which falls for somebody whose pauses are all short.
    """

    min_wait_s: float
    max_wait_s: float
    probability: float
    """From which on a turn counts as over."""
    unfinished: frozenset[str] = frozenset()
    """Words that no turn ends with, in lower case."""
    after_complete: tuple[float, ...] = ()
    """The latest pauses after what sounded complete; 0 where the turn was over."""
    after_unfinished: tuple[float, ...] = ()
    """The latest pauses within sentences."""

    def adjusted_probability(self, probability: float | None, text: str) -> float | None:
        """The probability that a turn is over, in the light of its words: nobody stops at "the"."""
        return 0.0 if probability is not None and self._is_unfinished(text) else probability

    def decide(self, probability: float | None, text: str) -> EndpointDecision:
        """What a pause after these words calls for.

        Args:
            probability: that the turn is over, as it was judged for these words; None before that.
            text: all that was said in the turn.
        """
        probability = self.adjusted_probability(probability, text)
        is_judged = probability is not None
        # What is not judged yet mostly will be before a first try has cost much.
        is_promising = not is_judged or self.is_likely(probability)
        return EndpointDecision(
            over_s=self.wait_s(probability, text),
            reply_s=self.prepare_s(probability, text) if is_judged else None,
            is_doubtful=is_judged and not is_promising,
            is_worth_a_try=is_promising and self.sounds_complete(text),
        )

    def sounds_complete(self, text: str) -> bool:
        """A recogniser wrote it as whole sentences: maybe worth a reply before the turn is judged."""
        return text.endswith(_STOPS) and not self._is_unfinished(text)

    def is_likely(self, probability: float | None) -> bool:
        """A turn of this probability counts as over; not so before it is known."""
        return probability is not None and probability >= self.probability

    def wait_s(self, probability: float | None, text: str) -> float:
        """Silence that ends the turn, by the probability that it is over; None before it is known."""
        if self.is_likely(probability):
            learned = max(self.after_complete, default=0.0)
            wait_s = learned + MARGIN_S if learned else self.min_wait_s
            return self._bounded(wait_s if is_sure(probability, text) else max(wait_s, UNSURE_WAIT_S))
        if len(self.after_unfinished) < ENOUGH:
            return self.max_wait_s
        return self._bounded(max(LEAST_UNFINISHED_WAIT_S, 1.5 * max(self.after_unfinished) + MARGIN_S))

    def prepare_s(self, probability: float | None, text: str) -> float:
        """Silence from which a reply to a final transcript is worth preparing: sooner it cuts sentences in two."""
        wait_s = self.wait_s(probability, text)
        return wait_s if self.is_likely(probability) else max(self.min_wait_s, wait_s - PREPARATION_S)

    def resumed(self, probability: float | None, silence_s: float) -> Endpointing:
        """The person spoke again after a pause of that length, in which the turn was not over."""
        silence_s = min(silence_s, self.max_wait_s)
        if self.is_likely(probability):
            return self._with_complete(silence_s)
        return replace(self, after_unfinished=(*self.after_unfinished, silence_s)[-REMEMBERED:])

    def ended(self, probability: float | None) -> Endpointing:
        """The turn ended and nothing spoke against it."""
        return self._with_complete(0.0) if self.is_likely(probability) else self

    def _with_complete(self, silence_s: float) -> Endpointing:
        return replace(self, after_complete=(*self.after_complete, silence_s)[-REMEMBERED:])

    def _is_unfinished(self, text: str) -> bool:
        last = text.rpartition(" ")[2].lower().translate(_WITHOUT_QUOTES)
        return last.endswith(_GO_ON) or last in self.unfinished

    def _bounded(self, wait_s: float) -> float:
        return min(max(wait_s, self.min_wait_s), self.max_wait_s)


def is_sure(probability: float | None, text: str) -> bool:
    """A turn that is likely over is so beyond doubt, by its words too."""
    is_short = len(text.split()) <= SHORT_ANSWER_WORDS
    return probability is not None and (is_short or probability >= SURE_PROBABILITY)
