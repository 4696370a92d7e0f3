"""A session's generations on one stream to the llm service, over gRPC."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

from voxmesh.llm.v1 import llm_pb2, llm_pb2_grpc
from voxmesh_coordinator.cleaning import cleaned
from voxmesh_coordinator.durability.history import ASSISTANT, USER
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.reply.upstreams import Generated, GenerationEvent, Served, Written
from voxmesh_routing.failover import FailoverStream, over_grpc
from voxmesh_routing.failures import ServiceFailed
from voxmesh_routing.replays.generation import Cancel, Generate, GenerationReplay, Prefill, Request, Response, Unit
from voxmesh_routing.response_queue import ResponseQueue

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


class StreamingLanguageModel:
    """The `LanguageModel` of a session, over gRPC."""

    def __init__(self, services: BackendRegistry, model: str) -> None:
        settings, self._clock = services.settings, services.clock
        sampling = llm_pb2.Sampling(max_output_tokens=settings.max_reply_tokens, temperature=settings.temperature)
        self._replay = GenerationReplay(llm_pb2.GenerationConfig(model=model, sampling=sampling), continued)
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
        self._answers = ResponseQueue[GenerationEvent]()

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
        if response.HasField("text_delta"):
            await self._answers.put(Written(response.text_delta.text))
        else:
            finished = response.finished
            await self._answers.put(Generated(self._replay.calls, finished.reason, finished.timing))

    def _opened(self, failure: ServiceFailed | None) -> None:
        if failure is None and self._replay.is_owing:
            self._answers.add(Served(self.stream.ready, self.stream.opened_ns))

    def _fail(self, failure: ServiceFailed) -> None:
        self.stream.send(Cancel(self._number))
        self._answers.add(failure)
