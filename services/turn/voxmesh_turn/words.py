"""The words of one stream's turn: judged as they come, and of those that come meanwhile the last.

Judging them while the person still speaks costs little and leaves little to read at the pause:
what a language model has read of a turn it need not read again when more is said.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from voxmesh_runtime.batcher import Batcher
from voxmesh_runtime.clock import WorkClock
from voxmesh_runtime.errors import Overloaded
from voxmesh_turn.engine import Transcript, WordJudge

log = logging.getLogger(__name__)

WordBatcher: TypeAlias = Batcher[Transcript, float | None]


class Words:
    """What is known of the turn in progress by its words.

    Args:
        judge: of the engine.
        batcher: on its thread.
        on_judged: called when there is news, with the times of the judgement.
    """

    def __init__(
        self, judge: WordJudge, batcher: WordBatcher, on_judged: Callable[[WorkClock], Awaitable[None]]
    ) -> None:
        self._judge = judge
        self._batcher = batcher
        self._on_judged = on_judged
        self._newest = Transcript("")
        self._is_judging = False
        self._probability: float | None = None
        self.considered = ""
        """The words that `weigh` goes by."""

    def weigh(self, by_sound: float | None) -> float | None:
        """The probability that the turn is over, by its sound and its words as far as they are judged."""
        if by_sound is None or self._probability is None:
            return self._probability if by_sound is None else by_sound
        return self._judge.weigh(by_sound, self._probability)

    def new_turn(self) -> None:
        """Forget the words."""
        self._newest = Transcript("")
        self._probability, self.considered = None, ""

    def heard(self, transcript: Transcript, tasks: asyncio.TaskGroup) -> None:
        """The words are these by now."""
        self._newest = transcript
        if not self._is_judging:
            self._is_judging = True
            tasks.create_task(self._keep_up(WorkClock.start()))

    async def _keep_up(self, clock: WorkClock) -> None:
        """Judge until the newest words are judged."""
        try:
            while self._newest.text != self.considered:
                newest = self._newest
                probability = await self._verdict(newest, clock)
                if newest is self._newest:
                    self._probability, self.considered = probability, newest.text
                    await self._on_judged(clock)
                clock = WorkClock.start()
        finally:
            self._is_judging = False

    async def _verdict(self, transcript: Transcript, clock: WorkClock) -> float | None:
        if not transcript.text:
            return None
        try:
            completed = await self._batcher.run(transcript)
        except Overloaded:
            # The sound alone judges too, and the stream need not end for it.
            log.warning("too many words wait to be judged; a turn is judged by its sound alone")
            return None
        clock.worked(completed.started_ns, completed.compute_s, completed.queued_s)
        return completed.result
