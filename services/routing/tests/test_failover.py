"""A stream to a slot: whatever breaks when, its owner sees each answer once, in order, in his own numbers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmesh.common.v1 import common_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_routing.backends import ENOUGH, FIRST_PATIENCE_S, LEAST_PATIENCE_S, Backend, Slot
from voxmesh_routing.failover import (
    HIGH_WATER,
    MAX_QUEUED,
    MAX_TRIES,
    STANDS_STILL_S,
    STEADY_S,
    TRY_GAP_S,
    FailoverStream,
    Timeouts,
)
from voxmesh_routing.failures import ServiceFailed
from voxmesh_routing.settings import BackendSettings
from voxmesh_runtime.duplex import CallOver
from voxmesh_testing.virtual.loop import VirtualTimeLoop, virtual_clock
from voxmesh_testing.virtual.network import Network

pytestmark = pytest.mark.virtual

Request = tts_pb2.StreamingSynthesizeRequest
Response = tts_pb2.StreamingSynthesizeResponse

GONE, REFUSED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INVALID_ARGUMENT


@dataclass(slots=True)
class Server:
    """One backend: answers each text by its number in the call."""

    refuses: grpc.StatusCode | None = None
    """Every config."""
    takes_configs: bool = True
    """Else it says nothing to them."""
    answers: bool = True
    """Texts, else it takes them and says nothing."""
    breaks_at: deque[int] = field(default_factory=deque[int])
    """For each of the next calls: it breaks with this message, which it may have answered (odd) or not (even)."""
    calls: list[FakeCall] = field(default_factory=list["FakeCall"])

    @property
    def taken(self) -> list[list[str]]:
        """The texts of each call."""
        return [call.taken for call in self.calls]


class FakeCall:
    """A `Call` in memory."""

    def __init__(self, server: Server) -> None:
        self.taken: list[str] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self._server = server
        self._breaks_at = server.breaks_at.popleft() if server.breaks_at else None
        self._answers = asyncio.Queue[Response | None]()
        self._over: CallOver | None = None
        server.calls.append(self)

    def end(self, code: grpc.StatusCode = GONE) -> None:
        """The service ends it."""
        if self._over is None:
            self._over = CallOver(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "it ended"))
            self._answers.put_nowait(None)

    async def write(self, request: Request) -> None:
        await self.takes.wait()
        if self._over is not None:
            raise self._over
        if request.HasField("config"):
            if self._server.refuses is not None:
                self.end(self._server.refuses)
            elif self._server.takes_configs:
                self._answers.put_nowait(Response(ready=common_pb2.Ready(engine="fake")))
            return
        number = len(self.taken)
        self.taken.append(request.text.text)
        is_last = self._breaks_at is not None and number == self._breaks_at // 2
        if self._server.answers and not (is_last and self._breaks_at is not None and self._breaks_at % 2 == 0):
            self._answers.put_nowait(Response(segment_finished=tts_pb2.SegmentFinished(segment_index=number)))
        if is_last:
            self.end()

    async def read(self) -> Response | None:
        answer = await self._answers.get()
        if answer is None and self._over is not None:
            raise self._over
        return answer

    async def half_close(self) -> None:
        self.end(grpc.StatusCode.OK)

    def cancel(self) -> None:
        self.end(grpc.StatusCode.CANCELLED)

    def go_away(self) -> None:
        """The server asks for a move."""
        self._answers.put_nowait(Response(going_away=common_pb2.GoingAway()))


class Texts:
    """The simplest `Replay`: texts without an answer are said again."""

    def __init__(self) -> None:
        self.settled = 0
        self._owed = deque[str]()
        self._first = 0

    @property
    def is_owing(self) -> bool:
        return bool(self._owed)

    @property
    def awaited(self) -> int | None:
        return self.settled if self._owed else None

    def config_for(self, backend: Backend) -> Request:
        del backend
        return Request(config=tts_pb2.SynthesisConfig())

    def sent(self, unit: str) -> Sequence[Request]:
        if not unit:
            self._owed.clear()
            return []
        self._owed.append(unit)
        return [_text(unit)]

    def received(self, response: Response) -> Response | None:
        if not self._owed:
            return None
        self._owed.popleft()
        response.segment_finished.segment_index += self._first
        self.settled += 1
        return response

    def pending(self, ready: common_pb2.Ready) -> Sequence[Request]:
        assert ready.engine == "fake"
        self._first = self.settled
        return [_text(text) for text in self._owed]


def _text(text: str) -> Request:
    return Request(text=tts_pb2.SegmentText(text=text))


class Owner:
    """Who has a stream to a slot of fake servers, first choice first."""

    def __init__(self, *servers: Server) -> None:
        self.servers: Sequence[Server] = servers or [Server()]
        targets = {f"backend-{number}": server for number, server in enumerate(self.servers)}
        self.slot = Slot("tts", [BackendSettings(target=target) for target in targets], Network().channel)
        self.answers: list[int] = []
        self.failures: list[ServiceFailed] = []
        self.openings: list[str] = []
        self.may_take = asyncio.Event()
        self.may_take.set()
        self.slow_for: int | None = None
        """The answer that takes a second to take."""
        self.stream = FailoverStream[str, Request, Response](
            self.slot,
            lambda backend: FakeCall(targets[backend.settings.target]),
            Texts(),
            on_response=self._take,
            on_failure=self._fail,
            timeouts=Timeouts(connect_s=4.0, reopen_s=0.8),
            clock=virtual_clock(),
        )
        self.stream.watchers.append(lambda failure: self.openings.append("" if failure is None else failure.problem))

    async def _take(self, response: Response) -> None:
        await self.may_take.wait()
        if response.segment_finished.segment_index == self.slow_for:
            await asyncio.sleep(1)
        self.answers.append(response.segment_finished.segment_index)

    def _fail(self, failure: ServiceFailed) -> None:
        self.failures.append(failure)
        self.stream.send("")

    def say(self, *texts: str) -> None:
        for text in texts:
            self.stream.send(text)

    async def end(self) -> None:
        self.stream.cancel()
        await self.slot.close()


async def test_texts_are_answered_in_order_and_the_stream_opens_for_the_first_one() -> None:
    owner = Owner()
    owner.say("a", "b", "c")
    await asyncio.sleep(1)
    assert owner.answers == [0, 1, 2]
    assert owner.servers[0].taken == [["a", "b", "c"]]
    await owner.end()


async def test_what_was_not_answered_is_said_again_to_the_next_backend() -> None:
    owner = Owner(Server(breaks_at=deque([2])), Server())
    owner.say("a", "b", "c")
    await asyncio.sleep(1)
    assert owner.answers == [0, 1, 2]
    assert [server.taken for server in owner.servers] == [[["a", "b"]], [["b", "c"]]]
    assert owner.slot.backends[0].problem
    assert not owner.failures
    await owner.end()


async def test_an_answer_that_came_before_the_break_is_not_asked_for_again() -> None:
    owner = Owner(Server(breaks_at=deque([3])), Server())
    owner.say("a", "b", "c")
    await asyncio.sleep(1)
    assert owner.answers == [0, 1, 2]
    assert owner.servers[1].taken == [["c"]]
    await owner.end()


async def test_a_stream_that_breaks_while_nothing_is_owed_stays_closed_until_something_is() -> None:
    owner = Owner()
    owner.say("a")
    await asyncio.sleep(1)
    owner.servers[0].calls[0].end()
    await asyncio.sleep(60)
    assert (owner.stream.is_open, len(owner.servers[0].calls)) == (False, 1)
    owner.say("b")
    await asyncio.sleep(1)
    assert owner.answers == [0, 1]
    assert not owner.failures
    await owner.end()


async def test_a_backend_that_refuses_is_passed_over_and_one_that_all_refuse_is_told() -> None:
    owner = Owner(Server(refuses=grpc.StatusCode.RESOURCE_EXHAUSTED), Server())
    await owner.stream.open()
    assert owner.stream.backend is owner.slot.backends[1]
    await owner.end()
    owner = Owner(Server(refuses=REFUSED), Server(refuses=REFUSED))
    with pytest.raises(ServiceFailed) as refused:
        await owner.stream.open()
    assert refused.value.code is REFUSED
    assert "backend-0" in refused.value.message
    owner.say("a")
    await asyncio.sleep(TRY_GAP_S)
    assert [failure.code for failure in owner.failures] == [REFUSED]
    await owner.end()


async def test_one_that_says_nothing_to_its_config_is_given_its_share_of_the_time() -> None:
    owner, began_at = Owner(Server(takes_configs=False), Server()), asyncio.get_running_loop().time()
    await owner.stream.open()
    assert asyncio.get_running_loop().time() - began_at == pytest.approx(2.0)
    assert "no answer within 2 s" in owner.slot.backends[0].problem
    await owner.end()


async def test_where_no_backend_is_left_the_owner_is_told_once_and_what_he_says_next_is_tried_again() -> None:
    server = Server(breaks_at=deque([0]))
    owner = Owner(server)
    await owner.stream.open()
    server.refuses = GONE
    owner.say("a")
    await asyncio.sleep(0.6)
    assert not owner.failures
    await asyncio.sleep(0.6)
    assert len(owner.failures) == 1
    # Just now it could not be reached: this costs no time.
    owner.say("b")
    assert len(owner.failures) == 2
    await asyncio.sleep(TRY_GAP_S)
    server.refuses = None
    owner.say("c")
    await asyncio.sleep(0.1)
    assert owner.answers == [0]
    assert owner.openings == ["", "not reachable (it ended); is it running and healthy?", ""]
    await owner.end()


async def test_work_over_which_one_call_after_another_breaks_is_given_up() -> None:
    owner = Owner(Server(breaks_at=deque([0] * 9)))
    owner.say("a")
    await asyncio.sleep(5)
    assert len(owner.failures) == 1
    assert owner.servers[0].taken == [["a"]] * MAX_TRIES
    await owner.end()


async def test_calls_that_lasted_break_for_reasons_of_their_own() -> None:
    owner = Owner(Server(answers=False))
    owner.say("a")
    for _ in range(2 * MAX_TRIES):
        await asyncio.sleep(STEADY_S + 1)
        owner.servers[0].calls[-1].end()
    await asyncio.sleep(1)
    assert not owner.failures
    assert len(owner.servers[0].calls) == 2 * MAX_TRIES + 1
    await owner.end()


async def test_what_nobody_may_say_is_said_once() -> None:
    owner = Owner(Server(answers=False), Server())
    owner.say("a")
    await asyncio.sleep(1)
    owner.servers[0].calls[0].end(REFUSED)
    await asyncio.sleep(1)
    assert [failure.code for failure in owner.failures] == [REFUSED]
    assert not owner.servers[1].calls
    assert owner.slot.backends[0].is_well
    await owner.end()


async def test_one_that_dawdles_is_left_where_there_is_another() -> None:
    owner = Owner(Server(), Server())
    for number in range(ENOUGH):
        owner.say(str(number))
        await asyncio.sleep(1)
    owner.servers[0].answers = False
    owner.say("late")
    await asyncio.sleep(LEAST_PATIENCE_S - 0.1)
    assert len(owner.answers) == ENOUGH
    await asyncio.sleep(0.2)
    assert owner.answers == list(range(ENOUGH + 1))
    assert "takes far longer" in owner.slot.backends[0].problem
    await owner.end()


async def test_one_that_stands_still_before_there_is_a_history_is_left_too() -> None:
    owner = Owner(Server(answers=False), Server())
    owner.say("first")
    await asyncio.sleep(FIRST_PATIENCE_S - 0.1)
    assert owner.answers == []
    await asyncio.sleep(0.2)
    assert owner.answers == [0]
    await owner.end()


@pytest.mark.parametrize("before", [0, ENOUGH])
async def test_where_there_is_no_other_one_that_stands_still_is_waited_for_long_and_then_told(before: int) -> None:
    owner = Owner()
    for number in range(before):
        owner.say(str(number))
        await asyncio.sleep(1)
    owner.servers[0].answers = False
    owner.say("late")
    await asyncio.sleep(STANDS_STILL_S - 0.1)
    assert (len(owner.servers[0].calls), owner.failures) == (1, [])
    await asyncio.sleep(0.2)
    assert [failure.code for failure in owner.failures] == [grpc.StatusCode.DEADLINE_EXCEEDED]
    assert not owner.stream.is_open
    await owner.end()


async def test_a_server_that_goes_away_is_left_when_the_owner_says_so_and_nothing_is_lost() -> None:
    owner = Owner(Server(answers=False), Server())
    owner.say("a")
    await asyncio.sleep(1)
    owner.stream.move_if_better()
    assert owner.stream.is_open
    owner.servers[0].calls[0].go_away()
    await asyncio.sleep(1)
    assert len(owner.servers[0].calls) == 1
    owner.slot.backends[0].failed("it goes away")
    owner.stream.move_if_better()
    await asyncio.sleep(1)
    assert owner.answers == [0]
    assert owner.stream.backend is owner.slot.backends[1]
    await owner.end()


async def test_a_better_backend_that_is_well_again_is_moved_to() -> None:
    owner = Owner(Server(refuses=GONE), Server())
    await owner.stream.open()
    assert owner.stream.backend is owner.slot.backends[1]
    owner.servers[0].refuses = None
    owner.slot.backends[0].opened()
    owner.stream.move_if_better()
    await asyncio.sleep(1)
    assert owner.stream.backend is owner.slot.backends[0]
    await owner.end()


async def test_an_owner_who_takes_his_time_loses_nothing_by_a_break() -> None:
    owner = Owner(Server(), Server())
    owner.may_take.clear()
    owner.say("a", "b", "c")
    await asyncio.sleep(1)
    owner.slot.backends[0].failed("another session says so")
    owner.stream.move_if_better()
    owner.say("d")
    await asyncio.sleep(1)
    owner.may_take.set()
    await asyncio.sleep(1)
    assert owner.answers == [0, 1, 2, 3]
    await owner.end()


async def test_the_answers_of_another_call_wait_for_the_last_one_of_the_call_before() -> None:
    owner = Owner(Server(), Server())
    owner.slow_for = 0
    owner.say("a")
    await asyncio.sleep(0.2)
    owner.slot.backends[0].failed("another session says so")
    owner.stream.move_if_better()
    owner.say("b")
    await asyncio.sleep(3)
    assert owner.answers == [0, 1]
    assert [server.taken for server in owner.servers] == [[["a"]], [["b"]]]
    await owner.end()


async def test_breaks_before_an_answer_are_forgiven() -> None:
    owner = Owner(Server(breaks_at=deque([0, 0, 2, 0])))
    owner.say("a")
    await asyncio.sleep(1)
    owner.say("b")
    await asyncio.sleep(1)
    assert owner.answers == [0, 1]
    assert not owner.failures
    await owner.end()


async def test_work_that_is_withdrawn_leaves_all_tries_to_the_next() -> None:
    server = Server(answers=False, breaks_at=deque([0] * (MAX_TRIES - 1)))
    owner = Owner(server)
    owner.say("a")
    await asyncio.sleep(1)
    assert len(server.calls) == MAX_TRIES
    owner.say("", "b")
    for _ in range(MAX_TRIES - 1):
        await asyncio.sleep(1)
        server.calls[-1].end()
    await asyncio.sleep(1)
    assert not owner.failures
    assert server.taken[-1] == ["b"]
    await owner.end()


async def test_who_sends_much_waits_for_a_backend_that_takes_little_at_a_time() -> None:
    owner = Owner()
    await owner.stream.open()
    call = owner.servers[0].calls[0]
    call.takes.clear()
    owner.say(*map(str, range(HIGH_WATER + 1)))
    waiting = asyncio.create_task(owner.stream.writable())
    await asyncio.sleep(1)
    assert not waiting.done()
    call.takes.set()
    await waiting
    await owner.end()


async def test_who_waits_for_a_backend_goes_on_when_the_stream_ends() -> None:
    owner = Owner()
    await owner.stream.open()
    owner.servers[0].calls[0].takes.clear()
    owner.say(*map(str, range(HIGH_WATER + 1)))
    waiting = asyncio.create_task(owner.stream.writable())
    await asyncio.sleep(1)
    owner.stream.cancel()
    await asyncio.wait_for(waiting, 1)
    await owner.end()


async def test_a_backend_that_takes_nothing_is_left_before_too_much_waits() -> None:
    owner = Owner(Server(), Server())
    await owner.stream.open()
    owner.servers[0].calls[0].takes.clear()
    owner.say(*map(str, range(MAX_QUEUED + 2)))
    await owner.stream.writable()
    await asyncio.sleep(1)
    assert owner.answers == list(range(MAX_QUEUED + 2))
    assert owner.stream.backend is owner.slot.backends[1]
    await owner.end()


async def test_a_stream_that_is_cancelled_at_any_moment_leaves_no_call_and_no_task_behind() -> None:
    for after_s in (0.0, 0.001, 0.5, 3.0):
        owner = Owner(Server(takes_configs=False), Server(answers=False))
        tasks = asyncio.all_tasks()
        owner.say("a")
        await asyncio.sleep(after_s)
        owner.stream.cancel()
        await asyncio.sleep(0.001)
        assert not owner.stream.is_open
        # A backend that failed meanwhile is asked for its health.
        await owner.slot.close()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() <= tasks
        assert not owner.failures


BREAKS = st.lists(st.integers(0, 9), max_size=6)
STEPS = st.lists(st.sampled_from(["say", "say", "say", "wait", "move", "rest", "hold", "take"]), max_size=25)


@given(first=BREAKS, second=BREAKS, steps=STEPS)
@settings(deadline=None, max_examples=150)
def test_whatever_breaks_when_each_answer_comes_once_and_in_order(
    first: list[int], second: list[int], steps: list[str]
) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(_run(first, second, steps))


async def _run(first: list[int], second: list[int], steps: list[str]) -> None:
    owner, said = Owner(Server(breaks_at=deque(first)), Server(breaks_at=deque(second))), 0
    for step in steps:
        match step:
            case "say":
                owner.say(str(said))
                said += 1
            case "move":
                owner.slot.backends[0].failed("it goes away")
                owner.stream.move_if_better()
            case "rest":
                owner.stream.cancel()
            case "hold":
                owner.may_take.clear()
            case "take":
                owner.may_take.set()
            case _:
                await asyncio.sleep(0.01)
    owner.may_take.set()
    owner.say(str(said))
    await asyncio.sleep(30)
    # Where too many calls in a row broke, what was owed then was withdrawn; the numbers of answers know no gap.
    assert owner.answers == list(range(len(owner.answers)))
    assert owner.failures or len(owner.answers) == said + 1
    taken = [text for server in owner.servers for call in server.taken for text in call]
    assert set(taken) == set(map(str, range(said + 1))) or owner.failures
    await owner.end()
