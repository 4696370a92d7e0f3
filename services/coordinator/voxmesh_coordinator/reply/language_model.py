"""A session's generations on one stream to the llm service, each of which goes on elsewhere where it broke."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from voxmesh.common.v1 import common_pb2
from voxmesh.llm.v1 import llm_pb2, llm_pb2_grpc
from voxmesh_coordinator.cleaning import cleaned
from voxmesh_coordinator.durability.history import ASSISTANT, USER
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.reply.upstreams import Generated, GenerationEvent, Served, Written
from voxmesh_routing.backends import Backend
from voxmesh_routing.failover import FailoverStream, over_grpc
from voxmesh_routing.failures import ServiceFailed
from voxmesh_routing.response_queue import ResponseQueue

Request = llm_pb2.StreamingGenerateRequest
Response = llm_pb2.StreamingGenerateResponse

GO_ON = "Go on exactly where you stopped, and repeat nothing."
"""Asked of a language model that is to finish what another began."""


def continued(request: llm_pb2.Generate, written: str) -> llm_pb2.Generate:
    """A request that asks for the rest of an answer of which so much was written."""
    written = cleaned(written)
    if not written.strip():
        return request
    rest = llm_pb2.Generate()
    rest.CopyFrom(request)
    rest.messages.add(role=ASSISTANT, text=written)
    rest.messages.add(role=USER, text=GO_ON)
    return rest


@dataclass(frozen=True, slots=True)
class Generate:
    """An answer is wanted, in place of the one before; numbered in the session."""

    number: int
    request: llm_pb2.Generate


@dataclass(frozen=True, slots=True)
class Prefill:
    """The next answer will most likely begin with this."""

    request: llm_pb2.Generate


@dataclass(frozen=True, slots=True)
class Cancel:
    """An answer is not wanted any more."""

    number: int


Unit = Generate | Prefill | Cancel


class GenerationReplay:
    """Keeps the generation in progress and what was written of it; answers have the session's numbers."""

    def __init__(self, config: llm_pb2.GenerationConfig) -> None:
        self.settled = 0
        self.calls: list[llm_pb2.ToolCall] = []
        """Those of the answer in progress, which are whole only at its end."""
        self._config = Request(config=config)
        self._current: Generate | None = None
        self._written = ""
        self._is_answered = False
        self._count = 0
        """Generations of the call that was opened last: the newest has the number before this."""

    @property
    def is_owing(self) -> bool:
        """An answer is not complete."""
        return self._current is not None

    @property
    def awaited(self) -> int | None:
        """The generation that has no answer yet."""
        return self._current.number if self._current is not None and not self._is_answered else None

    def config_for(self, backend: Backend) -> Request:
        """The same for all backends."""
        del backend
        return self._config

    def sent(self, unit: Unit) -> Sequence[Request]:
        """Begin or end a generation; see `voxmesh_routing.failover.Replay`."""
        match unit:
            case Generate():
                before = self._cancel()
                self._current, self._written, self._is_answered = unit, "", False
                return [*before, self._generate(unit)]
            case Cancel(number):
                return self._cancel() if self._current is not None and self._current.number == number else []
            case Prefill(request):
                return [Request(prefill=request)]

    def pending(self, ready: common_pb2.Ready) -> Sequence[Request]:
        """The rest of the answer in progress."""
        del ready
        self._count = 0
        if self._current is None:
            return []
        return [self._generate(replace(self._current, request=continued(self._current.request, self._written)))]

    def received(self, response: Response) -> Response | None:
        """An answer to the generation in progress; calls are kept until it is complete."""
        kind = response.WhichOneof("streaming_response") or ""
        if self._current is None or getattr(response, kind).generation_index != self._count - 1:
            return None
        self._is_answered = True
        getattr(response, kind).generation_index = self._current.number
        match kind:
            case "text_delta":
                self._written += response.text_delta.text
            case "tool_call":
                self.calls.append(response.tool_call.tool_call)
            case "finished":
                self._current = None
                self.settled += 1
            case _:
                pass
        return response if kind in {"text_delta", "finished"} else None

    def _generate(self, unit: Generate) -> Request:
        self._count += 1
        self.calls = []
        return Request(generate=unit.request)

    def _cancel(self) -> Sequence[Request]:
        was_running, self._current = self._current is not None, None
        return [Request(cancel=llm_pb2.Cancel())] if was_running else []


class StreamingLanguageModel:
    """The `LanguageModel` of a session, over gRPC."""

    def __init__(self, services: BackendRegistry, model: str) -> None:
        settings, self._clock = services.settings, services.clock
        sampling = llm_pb2.Sampling(max_output_tokens=settings.max_reply_tokens, temperature=settings.temperature)
        self._replay = GenerationReplay(llm_pb2.GenerationConfig(model=model, sampling=sampling))
        self.stream = FailoverStream[Unit, Request, Response](
            services.llm,
            over_grpc(lambda channel: llm_pb2_grpc.LanguageModelServiceStub(channel).StreamingGenerate()),
            self._replay,
            on_response=self._deliver,
            on_failure=self._fail,
            # Without a language model no turn is answered: one that is started again is waited for.
            timeouts=replace(services.timeouts, reopen_s=2 * services.timeouts.reopen_s),
            clock=services.clock,
        )
        self.stream.watchers.append(self._opened)
        self._number = 0
        self._answers: ResponseQueue[GenerationEvent] | None = None

    @asynccontextmanager
    async def generate(self, request: llm_pb2.Generate) -> AsyncGenerator[ResponseQueue[GenerationEvent]]:
        """See `LanguageModel`."""
        await self.stream.open()
        answers = self._answers = ResponseQueue[GenerationEvent]()
        self._number = number = self._number + 1
        answers.add(Served(self.stream.ready, self._clock.wall_ns()))
        self.stream.send(Generate(number, request))
        try:
            yield answers
        finally:
            answers.close()
            self.stream.send(Cancel(number))

    def prefill(self, request: llm_pb2.Generate) -> None:
        """See `LanguageModel`."""
        self.stream.send(Prefill(request))

    async def _deliver(self, response: Response) -> None:
        answers = self._answers
        if answers is None:
            return
        if response.HasField("text_delta"):
            await answers.put(Written(response.text_delta.text))
        else:
            finished = response.finished
            await answers.put(Generated(self._replay.calls, finished.reason, finished.timing))

    def _opened(self, failure: ServiceFailed | None) -> None:
        if failure is None and self._answers is not None and self._replay.is_owing:
            self._answers.add(Served(self.stream.ready, self.stream.opened_ns))

    def _fail(self, failure: ServiceFailed) -> None:
        number, answers = self._number, self._answers
        self.stream.send(Cancel(number))
        if answers is not None:
            answers.add(failure)
