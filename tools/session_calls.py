"""How many function calls the coordinator makes for an interim transcript and for a delta of a reply.

A session in virtual time among fakes is traced: of the periods of one audio frame in which a transcript or a delta
comes, the median of the calls, less the median of those between in which none does. What resumes a coroutine counts
as a call; calls of other packages do not.
"""

from __future__ import annotations

import sys
from collections import Counter
from statistics import median
from types import FrameType

import voxmesh_coordinator
import voxmesh_routing
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_testing.virtual.caller import FRAME_S, Caller
from voxmesh_testing.virtual.llm import says
from voxmesh_testing.virtual.loop import VirtualTimeLoop
from voxmesh_testing.virtual.speech import say
from voxmesh_testing.virtual.stage import mesh

_PACKAGES = tuple(package.__path__[0] for package in (voxmesh_coordinator, voxmesh_routing))
_TEXT = "ten small green boats went slowly down the wide river past seven old stone bridges near our town"
_GAP_S = 0.11
"""Between deltas: no multiple of a frame, so that other periods come between."""


class Periods:
    """The coordinator's calls, by period of one frame of virtual time."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self.calls = Counter[int]()
        self._loop = loop

    def trace(self, frame: FrameType, event: str, _: object) -> None:
        """What `sys.setprofile` takes."""
        if event == "call" and frame.f_code.co_filename.startswith(_PACKAGES):
            self.calls[self.at(self._loop.time())] += 1

    def at(self, time_s: float) -> int:
        """The period of a moment."""
        return int(time_s / FRAME_S)

    def cost(self, times_s: list[float]) -> float:
        """What came at these times costs more than what came between."""
        hit = {self.at(time_s) for time_s in times_s}
        between = set(range(min(hit), max(hit))) - hit
        return median(self.calls[period] for period in hit) - median(self.calls[period] for period in between)


async def _talk() -> Caller:
    async with mesh() as there, there.talk() as call:
        there.llm.play(says(*(f"{word} " for word in _TEXT.split()), gap_s=_GAP_S))
        call.say(say(f"{_TEXT}?"))
        await call.until(conversation_pb2.TurnReport)
    return call


def calls_per_interim_and_delta() -> tuple[float, float]:
    """The figures of one session."""
    loop = VirtualTimeLoop()
    periods = Periods(loop)
    sys.setprofile(periods.trace)
    try:
        call = loop.run_until_complete(_talk())
    finally:
        sys.setprofile(None)
        loop.close()
    interims = [call.time_of(each) for each in call.events(stt_pb2.RecognitionResult) if not each.is_final]
    deltas = [call.time_of(each) for each in call.events(conversation_pb2.ReplyText)]
    return periods.cost(interims), periods.cost(deltas)


if __name__ == "__main__":
    interim, delta = calls_per_interim_and_delta()
    print(f"coordinator: {interim:.0f} calls an interim transcript, {delta:.0f} calls a delta")
