"""One step of many sessions: their decode requests gathered into batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, cast

from voxmesh_runtime.outcomes import Outcome
from voxmesh_stt.engine import RecognitionOptions, Step, Transcript
from voxmesh_stt.utterances.decoding import DecodeRequest, Hypothesis, StateT, Work
from voxmesh_stt.utterances.pace import Pace
from voxmesh_stt.utterances.session import UtteranceSession
from voxmesh_stt.utterances.settings import UtteranceSettings
from voxmesh_stt.utterances.voice import Detectors, VoiceActivity

Decode = Callable[[Sequence[DecodeRequest[StateT]]], Sequence[Hypothesis]]


@dataclass(slots=True)
class _Waiting(Generic[StateT]):
    """A session that wants a decode."""

    index: int
    work: Work[StateT]
    request: DecodeRequest[StateT]


class Utterances(Generic[StateT]):
    """What an engine of whole utterances does beside decoding.

    Args:
        decode: takes 1 to `max_batch_size` requests of different streams, gives one hypothesis
            each, in order.
        settings: of the engine.
        max_batch_size: as in `EngineInfo`.
    """

    def __init__(self, decode: Decode[StateT], settings: UtteranceSettings, max_batch_size: int = 1) -> None:
        self._decode = decode
        self._settings = settings
        self._max_batch_size = max_batch_size
        self._pace = Pace(settings.interim_share)
        self._detectors = Detectors()

    def open(
        self,
        options: RecognitionOptions,
        state: StateT,
        outcomes: Sequence[Outcome],
        close_state: Callable[[StateT], None] = lambda _: None,
        end_utterance: Callable[[StateT], None] = lambda _: None,
    ) -> UtteranceSession[StateT]:
        """A session for one stream.

        Args:
            options: what the caller asked for.
            state: handed back with every request.
            outcomes: as in `Session`.
            close_state: called once, when the session is closed.
            end_utterance: called when no request with the number of the one before will follow.
        """
        voice = VoiceActivity(self._detectors.take(), self._detectors.give_back)
        return UtteranceSession(
            voice,
            self._pace,
            self._settings,
            state=state,
            close_state=close_state,
            end_utterance=end_utterance,
            outcomes=outcomes,
            interim_results=options.interim_results,
        )

    def step(self, steps: Sequence[Step]) -> list[list[Transcript]]:
        """Take the new audio of different sessions, as `Engine.step` does."""
        transcripts: list[list[Transcript]] = [[] for _ in steps]
        waiting: list[_Waiting[StateT]] = []
        for index, step in enumerate(steps):
            # The engine is given back only sessions that it opened.
            session = cast("UtteranceSession[StateT]", step.session)
            self._go_on(index, session.work(step.samples, is_final=step.is_final), None, waiting, transcripts)
        while waiting:
            batch, waiting = waiting[: self._max_batch_size], waiting[self._max_batch_size :]
            for item, hypothesis in zip(batch, self._decoded(batch), strict=True):
                self._go_on(item.index, item.work, hypothesis, waiting, transcripts)
        return transcripts

    def _decoded(self, batch: Sequence[_Waiting[StateT]]) -> Sequence[Hypothesis]:
        began = time.monotonic()
        hypotheses = self._decode([item.request for item in batch])
        if not all(item.request.is_final for item in batch):
            self._pace.spent(began)
        return hypotheses

    @staticmethod
    def _go_on(
        index: int,
        work: Work[StateT],
        hypothesis: Hypothesis | None,
        waiting: list[_Waiting[StateT]],
        transcripts: list[list[Transcript]],
    ) -> None:
        try:
            request = next(work) if hypothesis is None else work.send(hypothesis)
        except StopIteration as done:
            transcripts[index] = done.value
        else:
            waiting.append(_Waiting(index, work, request))
