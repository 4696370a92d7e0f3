"""Judges speech over a reply, by its words and by whether it sounds like the reply."""

from __future__ import annotations

from functools import partial

from voxmesh_coordinator.listening.microphone import Microphone
from voxmesh_coordinator.reply.playout_tracker import PlayoutTracker
from voxmesh_coordinator.reply.sent_audio import SentAudio
from voxmesh_coordinator.session.adapters.echo import (
    EARLIEST_S,
    HOP_S,
    LATEST_S,
    LEAD_S,
    NOISE_S,
    SPEECH_S,
    likeness,
    spectrogram,
    weigh,
)
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_coordinator.turn.commands import JudgeOverlap
from voxmesh_coordinator.turn.events import OverlapJudged
from voxmesh_coordinator.turn.overlap import Source, judge


class OverlapJudge:
    """Answers `JudgeOverlap` at once.

    Args:
        settings: the words that interrupt, and those that do not.
        microphone: hears the speech.
        sent: the audio of the latest reply.
    """

    def __init__(self, settings: CoordinatorSettings, microphone: Microphone, sent: SentAudio) -> None:
        self._judge = partial(judge, backchannels=settings.backchannels, interruptions=settings.interruptions)
        self._microphone = microphone
        self._sent = sent

    def answer(self, question: JudgeOverlap, playout: PlayoutTracker | None) -> OverlapJudged:
        """What the speech is by now.

        Args:
            question: what is asked.
            playout: of the reply that is given; None when it was stopped meanwhile.
        """
        words, is_final = question.words, question.is_final
        if playout is None:
            kind = self._judge(words, "", is_final=is_final)
        else:
            source = partial(self._source, question, playout)
            kind = self._judge(words, playout.being_said(), is_final=is_final, source=source)
        return OverlapJudged(kind, question)

    def _source(self, question: JudgeOverlap, playout: PlayoutTracker) -> Source:
        """Whose voice it is; that it is a person's is sure only while the client tells where it is in the reply."""
        microphone, sent = self._microphone, self._sent
        now_s = microphone.timeline.end_s
        end_s = now_s if question.paused_s is None else min(now_s, question.paused_s + microphone.settings.pause_s)
        begin_s = max(question.began_s - LEAD_S, end_s - SPEECH_S)
        # Where the client was in the reply at second 0 of the microphone.
        shift_s = playout.sounding_s() - now_s
        said = sent.between(begin_s + shift_s - LATEST_S, end_s + shift_s - EARLIEST_S)
        if said is None:
            return Source.UNCLEAR
        heard = spectrogram(microphone.timeline.samples(end_s - NOISE_S, end_s), microphone.timeline.sample_rate_hertz)
        since = max(0, len(heard) - round((end_s - begin_s) / HOP_S))
        alike, loud_s = likeness(heard, since, spectrogram(said, sent.sample_rate_hertz))
        return weigh(alike, loud_s, is_over=question.paused_s is not None, is_followed=playout.is_followed)
