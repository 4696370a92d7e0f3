"""What changed between a recorded conversation and the same one held again, turn by turn."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client.recording import Moment
from voxmesh_client.turns import Turn, TurnLog

TOLERANCE_S = 0.5
"""Turns that end no further apart, in seconds, end alike."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one turn."""

    transcript: str
    reply: str
    ended_at_s: float
    """Microphone audio that had been sent when the turn was judged ended, in seconds."""
    heard: str | None
    """What was heard of an interrupted reply; None when it came to its end."""
    gains: tuple[float, ...]
    """Volumes asked for during the reply."""
    failure: str | None
    """Why there was no reply."""
    latency_s: float | None
    """End of speech, or of typing, to the first audio; None where there was none."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of either transcript; `change` is "" for one of both, "-" for the recorded, "+" for the replayed."""

    text: str
    change: str


@dataclass(frozen=True, slots=True)
class Change:
    """One turn, then and now; None where there was no such turn."""

    recorded: Outcome | None
    replayed: Outcome | None
    tolerance_s: float = TOLERANCE_S

    @property
    def is_alike(self) -> bool:
        """Same words, same decisions."""
        return self.has_same_words and not self.decisions

    @property
    def has_same_words(self) -> bool:
        """The transcripts differ in case and punctuation at most."""
        return all(not word.change for word in self.words)

    @property
    def words(self) -> list[Word]:
        """Both transcripts in one."""
        then = self.recorded.transcript.split() if self.recorded else []
        now = self.replayed.transcript.split() if self.replayed else []
        return list(_diff(then, now))

    @property
    def decisions(self) -> list[str]:
        """What was decided otherwise, for a person."""
        then, now = self.recorded, self.replayed
        if then is None or now is None:
            return ["there was no such turn" if then is None else "there is no such turn any more"]
        changes: list[str] = []
        if abs(now.ended_at_s - then.ended_at_s) > self.tolerance_s:
            changes.append(f"ended at {then.ended_at_s:.2f} s -> {now.ended_at_s:.2f} s of the audio")
        if (now.heard is None) != (then.heard is None):
            changes.append("was interrupted; not any more" if now.heard is None else "is interrupted; was not")
        if now.gains != then.gains:
            changes.append(f"volume {_gains(then.gains)} -> {_gains(now.gains)}")
        if (now.failure is None) != (then.failure is None):
            changes.append("failed; not any more" if now.failure is None else f"fails: {now.failure}")
        return changes


def compare(recorded: Iterable[Moment], replayed: Iterable[Moment], tolerance_s: float = TOLERANCE_S) -> list[Change]:
    """The turns of both, in order."""
    pairs = zip_longest(outcomes(recorded), outcomes(replayed))
    return [Change(then, now, tolerance_s) for then, now in pairs]


def other_services(
    recorded: dict[str, common_pb2.Ready], replayed: dict[str, common_pb2.Ready]
) -> dict[str, tuple[str, str]]:
    """Engine and model then and now of each slot where they differ."""
    pairs = {slot: (_served(recorded.get(slot)), _served(replayed.get(slot))) for slot in {**recorded, **replayed}}
    return {slot: (then, now) for slot, (then, now) in pairs.items() if then != now}


def outcomes(moments: Iterable[Moment]) -> list[Outcome]:
    """What came of each turn, in order."""
    log = TurnLog()
    ended_at_s: list[float] = []
    gains: list[list[float]] = []
    for moment in moments:
        log.take(moment.event)
        match moment.event:
            case conversation_pb2.TurnEnded():
                ended_at_s.append(moment.audio_s)
                gains.append([])
            case conversation_pb2.Duck() if gains:
                gains[-1].append(round(moment.event.gain, 3))
            case _:
                pass
    return [_outcome(*each) for each in zip(log.turns, ended_at_s, gains, strict=True)]


def _outcome(turn: Turn, ended_at_s: float, gains: list[float]) -> Outcome:
    return Outcome(
        transcript=turn.text,
        reply=turn.reply.strip(),
        ended_at_s=ended_at_s,
        heard=None if turn.interrupted is None else turn.interrupted.heard_text,
        gains=tuple(gains),
        failure=None if turn.failure is None else turn.failure.message,
        latency_s=None if turn.report is None else _latency_s(turn.report),
    )


def _latency_s(report: conversation_pb2.TurnReport) -> float | None:
    if not report.HasField("first_audio_time"):
        return None
    spoken = report.HasField("speech_ended_time")
    begin = report.speech_ended_time if spoken else report.turn_ended_time
    return (report.first_audio_time.ToNanoseconds() - begin.ToNanoseconds()) / 1e9


def _diff(then: list[str], now: list[str]) -> Iterator[Word]:
    matcher = difflib.SequenceMatcher(None, [_plain(word) for word in then], [_plain(word) for word in now], False)
    for kind, then_from, then_to, now_from, now_to in matcher.get_opcodes():
        if kind == "equal":
            yield from (Word(word, "") for word in now[now_from:now_to])
            continue
        yield from (Word(word, "-") for word in then[then_from:then_to] if _plain(word))
        yield from (Word(word, "+") for word in now[now_from:now_to] if _plain(word))


def _plain(word: str) -> str:
    """Without case and punctuation; marks stay, as many scripts write vowels with them."""
    return "".join(letter for letter in word.casefold() if unicodedata.category(letter)[0] not in "PS")


def _gains(gains: tuple[float, ...]) -> str:
    return "/".join(f"{gain:g}" for gain in gains) or "untouched"


def _served(ready: common_pb2.Ready | None) -> str:
    return "none" if ready is None else f"{ready.engine} {ready.model}".strip()
