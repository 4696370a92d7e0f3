"""Which utterance a turn answers: by when it ended, and where that leaves a choice by the likeness of its text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client.bench.conversations.timeline import Timeline, Utterance

ALIKE = 0.5
"""A turn whose text is less alike to what was said was misheard, or is somebody else's."""


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """A turn that the coordinator ended, and the utterance it came of."""

    index: int
    ended_s: float
    utterance: Utterance | None
    """None when nobody had spoken."""
    text: str
    """What was heard."""
    likeness: float
    """Of its text to what was said, in [0, 1]."""

    @property
    def is_cut_off(self) -> bool:
        """True when it ended before the person had finished."""
        return self.utterance is not None and self.ended_s < self.utterance.end_s


def heard_turns(timeline: Timeline) -> list[HeardTurn]:
    """All turns of a timeline, in order."""
    turns: list[HeardTurn] = []
    open_from = 0
    for received in timeline.received:
        if not isinstance(received.event, conversation_pb2.TurnEnded):
            continue
        begun = [each for each in timeline.utterances if each.onset_s <= received.at_s]
        candidates = range(min(open_from, max(0, len(begun) - 1)), len(begun))
        place, alike = _best(begun, candidates, received.event.text)
        utterance = begun[place] if begun else None
        turns.append(HeardTurn(received.event.turn_index, received.at_s, utterance, received.event.text, alike))
        # What was cut off goes on; the rest of it is a turn of the same utterance.
        open_from = max(open_from, place if turns[-1].is_cut_off else place + 1)
    return turns


def _best(begun: Sequence[Utterance], candidates: Sequence[int], text: str) -> tuple[int, float]:
    """Place of the last of those utterances in a row whose words are most like a text."""
    place, best = max(0, len(begun) - 1), 0.0
    for length in range(1, len(candidates) + 1):
        for last in candidates[length - 1 :]:
            said = " ".join(each.text for each in begun[last - length + 1 : last + 1])
            alike = likeness(said, text)
            if alike > best:
                place, best = last, alike
    return place, best


def likeness(said: str, heard: str) -> float:
    """Share in [0, 1] of letters that two texts have in common, in order; case and punctuation do not count."""
    one, other = (re.sub(r"[\W_]+", "", text.lower()) for text in (said, heard))
    return SequenceMatcher(None, one, other, autojunk=False).ratio() if one and other else 0.0
