"""How human a conversation was, from its timeline alone: waits, yields and faults, as the client saw them."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client.bench.conversations.attribution import ALIKE, HeardTurn, heard_turns
from voxmesh_client.bench.conversations.timeline import Timeline, Utterance
from voxmesh_runtime.clock import seconds_of

YIELD_WITHIN_S = 1.5
"""An interruption that has not stopped the reply by then was missed."""

T = TypeVar("T")


class Fault(enum.Enum):
    """What a good listener does not do."""

    CUT_OFF = "cut off"
    """A turn was ended before the person had finished."""
    FALSE_INTERRUPTION = "false interruption"
    """A reply was stopped by what was none: a murmur, a cough, noise, its own echo."""
    MISSED_INTERRUPTION = "missed interruption"
    """A reply went on for YIELD_WITHIN_S under somebody who interrupted."""
    UNANSWERED = "unanswered"
    """No reply was heard to what needed one."""
    EXTRA_TURN = "extra turn"
    """A turn that nobody took, or a second one of what was said once."""
    FAILURE = "failure"
    """A turn failed, or the conversation broke off."""


@dataclass(frozen=True, slots=True)
class Slip:
    """One fault, and what it happened to."""

    fault: Fault
    step: int
    """Of the scenario, from 1; 0 when it belongs to none."""
    about: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One utterance that was answered, in seconds from the true end of its speech."""

    step: int
    first_audio_s: float
    """Until the first reply audio was received."""
    turn_ended_s: float
    """Until the client was told that the turn was over."""
    wait_s: float | None
    """Until the turn could end: `first_audio_s` less `beyond_s`; None without a report."""
    beyond_s: float | None
    """From there to the first audio, on the coordinator's clock: work that the wait did not hide."""


@dataclass(frozen=True, slots=True)
class BargeIn:
    """One real interruption, in seconds from its onset; None when it did not happen."""

    step: int
    duck_s: float | None
    """Until the reply was to be lowered, or stopped."""
    yield_s: float | None
    """Until `interrupted` was received."""
    last_audio_s: float | None
    """Until the last audio of the reply was received; 0 when none came after the onset."""
    full_volume_s: float | None
    """Until the reply was last to be heard at full volume, whenever its audio was sent."""


@dataclass(slots=True)
class Score:
    """What was found in one play, or in many."""

    answers: list[Answer] = field(default_factory=list[Answer])
    barge_ins: list[BargeIn] = field(default_factory=list[BargeIn])
    slips: list[Slip] = field(default_factory=list[Slip])
    questions: int = 0
    """Utterances that needed an answer."""
    disturbances: int = 0
    """Murmurs, coughs, noises and echoes that were to be ignored."""
    interruptions: int = 0
    """Real ones."""
    turns: int = 0
    unlike: int = 0
    """Turns of speech whose text is less than ALIKE like what was said."""
    void: int = 0
    """Steps that were to be spoken over a reply that was not there, or was over too soon."""
    discarded_replies: int = 0
    """Replies prepared and thrown away."""
    discarded_s: float = 0.0
    """Compute of these."""

    def count(self, fault: Fault) -> int:
        """How often a fault happened."""
        return sum(slip.fault is fault for slip in self.slips)


def total(scores: Sequence[Score]) -> Score:
    """Many plays as one."""
    whole = Score()
    for score in scores:
        for name in Score.__dataclass_fields__:
            setattr(whole, name, getattr(whole, name) + getattr(score, name))
    return whole


def score(timeline: Timeline) -> Score:
    """The score of one play."""
    found = Score(void=len(timeline.unsaid))
    turns = heard_turns(timeline)
    for utterance in timeline.utterances:
        own = [turn for turn in turns if turn.utterance is utterance]
        if utterance.is_void:
            found.void += 1
        elif utterance.expect.is_answered:
            _judge_speech(found, timeline, utterance, own)
        elif utterance.expect.is_ignored:
            found.disturbances += 1
            found.slips += [_heard(Fault.EXTRA_TURN, turn) for turn in own]
    found.turns = len(turns)
    found.unlike = sum(_is_unlike(turn) for turn in turns)
    found.slips += [_heard(Fault.EXTRA_TURN, turn) for turn in turns if turn.utterance is None]
    found.slips += _false_interruptions(timeline)
    found.slips += _failures(timeline, turns)
    for _, report in _all(timeline, conversation_pb2.TurnReport):
        found.discarded_replies += report.discarded_reply_count
        found.discarded_s += seconds_of(report.discarded_compute_duration)
    return found


def _judge_speech(found: Score, timeline: Timeline, utterance: Utterance, turns: Sequence[HeardTurn]) -> None:
    """What came of an utterance that needed an answer."""
    if utterance.over_turn is not None and utterance.needs_reply and not _judge_barge_in(found, timeline, utterance):
        return
    found.questions += 1
    whole = [turn for turn in turns if not turn.is_cut_off]
    found.slips += [_heard(Fault.CUT_OFF, turn) for turn in turns if turn.is_cut_off]
    found.slips += [_heard(Fault.EXTRA_TURN, turn) for turn in whole[1:]]
    if whole and whole[0].index in _failed(timeline):
        return
    answer = _answer(timeline, utterance, whole[0]) if whole else None
    if answer is None:
        if not timeline.failure:
            found.slips.append(_slip(Fault.UNANSWERED, utterance))
    else:
        found.answers.append(answer)


def _judge_barge_in(found: Score, timeline: Timeline, utterance: Utterance) -> bool:
    """How a reply yielded; false when it was over by itself before it had to."""
    over, onset_s = utterance.over_turn, utterance.onset_s
    stops = [at_s for at_s, each in _all(timeline, conversation_pb2.Interrupted) if each.turn_index == over]
    yield_s = next((at_s - onset_s for at_s in stops if at_s >= onset_s), None)
    played_s = next((at_s for turn, at_s in timeline.played_out_s.items() if turn == over), None)
    if yield_s is None and played_s is not None and played_s < onset_s + YIELD_WITHIN_S:
        found.void += 1
        return False
    found.interruptions += 1
    if yield_s is None or yield_s > YIELD_WITHIN_S:
        found.slips.append(_slip(Fault.MISSED_INTERRUPTION, utterance))
    ducks = [at_s for at_s, each in _all(timeline, conversation_pb2.Duck) if each.gain < 1 and at_s >= onset_s]
    lowered = [at_s - onset_s for at_s in ducks] + ([] if yield_s is None else [yield_s])
    audio = [
        at_s for at_s, each in _all(timeline, conversation_pb2.ReplyAudio) if each.turn_index == over and each.data
    ]
    last_s = None if yield_s is None else max(0.0, max(audio, default=0.0) - onset_s)
    full_s = None if yield_s is None else _full_volume_until(timeline, onset_s + yield_s) - onset_s
    full_s = None if full_s is None else max(0.0, full_s)
    found.barge_ins.append(BargeIn(utterance.step, min(lowered, default=None), yield_s, last_s, full_s))
    return True


def _full_volume_until(timeline: Timeline, stopped_s: float) -> float:
    """When a reply that was stopped was lowered for the last time before, or was stopped at full volume."""
    gain, lowered_s = 1.0, stopped_s
    for at_s, duck in _all(timeline, conversation_pb2.Duck):
        if at_s >= stopped_s:
            break
        if duck.gain < 1 <= gain:
            lowered_s = at_s
        gain = duck.gain
    return lowered_s if gain < 1 else stopped_s


def _answer(timeline: Timeline, utterance: Utterance, turn: HeardTurn) -> Answer | None:
    """The waits of an answered utterance; None when no audio of a reply came."""
    audio = _all(timeline, conversation_pb2.ReplyAudio)
    first_s = next((at_s for at_s, each in audio if each.turn_index == turn.index and each.data), None)
    if first_s is None:
        return None
    reports = [each for _, each in _all(timeline, conversation_pb2.TurnReport) if each.turn_index == turn.index]
    beyond_s = _beyond_s(reports[0]) if reports else None
    first_audio_s = first_s - utterance.end_s
    wait_s = None if beyond_s is None else first_audio_s - beyond_s
    return Answer(utterance.step, first_audio_s, turn.ended_s - utterance.end_s, wait_s, beyond_s)


def _beyond_s(report: conversation_pb2.TurnReport) -> float | None:
    """First audio less the moment from which the turn could end, both of the coordinator's clock."""
    name = "turn_endable_time" if report.HasField("turn_endable_time") else "turn_ended_time"
    if not (report.HasField(name) and report.HasField("first_audio_time")):
        return None
    endable: Timestamp = getattr(report, name)
    return (report.first_audio_time.ToNanoseconds() - endable.ToNanoseconds()) / 1e9


def _false_interruptions(timeline: Timeline) -> Iterator[Slip]:
    for at_s, _ in _all(timeline, conversation_pb2.Interrupted):
        begun = [each for each in timeline.utterances if each.onset_s <= at_s]
        if not begun:
            yield Slip(Fault.FALSE_INTERRUPTION, 0, "before anybody spoke")
        elif begun[-1].expect.is_ignored and not begun[-1].is_void:
            yield _slip(Fault.FALSE_INTERRUPTION, begun[-1])


def _failures(timeline: Timeline, turns: Sequence[HeardTurn]) -> Iterator[Slip]:
    steps = {turn.index: turn.utterance.step for turn in turns if turn.utterance is not None}
    for _, failed in _all(timeline, conversation_pb2.TurnFailed):
        yield Slip(Fault.FAILURE, steps.get(failed.turn_index, 0), failed.message)
    if timeline.failure:
        yield Slip(Fault.FAILURE, 0, timeline.failure)


def _failed(timeline: Timeline) -> set[int]:
    return {failed.turn_index for _, failed in _all(timeline, conversation_pb2.TurnFailed)}


def _is_unlike(turn: HeardTurn) -> bool:
    said = turn.utterance.text if turn.utterance is not None else ""
    return bool(said) and not turn.is_cut_off and turn.likeness < ALIKE


def _slip(fault: Fault, utterance: Utterance) -> Slip:
    return Slip(fault, utterance.step, utterance.label)


def _heard(fault: Fault, turn: HeardTurn) -> Slip:
    """A fault in a turn, with what was heard of a text that the script knows anyway."""
    if turn.utterance is None:
        return Slip(fault, 0, f'before anybody spoke, heard as "{turn.text}"')
    return Slip(fault, turn.utterance.step, f'{turn.utterance.label}, heard as "{turn.text}"')


def _all(timeline: Timeline, kind: type[T]) -> list[tuple[float, T]]:
    """The events of a kind, each with when it came."""
    return [(each.at_s, each.event) for each in timeline.received if isinstance(each.event, kind)]
