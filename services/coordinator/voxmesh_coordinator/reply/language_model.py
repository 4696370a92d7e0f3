"""A session's generations, one after another on one stream to the llm service."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress

import grpc

from voxmesh.common.v1 import common_pb2
from voxmesh.llm.v1 import llm_pb2, llm_pb2_grpc
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_routing.failover import FailoverStream
from voxmesh_routing.failures import ServiceFailed
from voxmesh_routing.response_queue import ResponseQueue

Request = llm_pb2.StreamingGenerateRequest
Response = llm_pb2.StreamingGenerateResponse


class LanguageModel:
    """Answers of the language model; leaving a generation before its end cancels it upstream."""

    def __init__(self, services: BackendRegistry, model: str) -> None:
        settings, self._clock = services.settings, services.clock
        sampling = llm_pb2.Sampling(max_output_tokens=settings.max_reply_tokens, temperature=settings.temperature)
        self.link = FailoverStream[Request, Response](
            services.llm,
            lambda channel: llm_pb2_grpc.LanguageModelServiceStub(channel).StreamingGenerate(),
            Request(config=llm_pb2.GenerationConfig(model=model, sampling=sampling)),
            on_response=self._deliver,
            on_failure=self._fail,
            timeouts=services.timeouts,
            clock=services.clock,
        )
        self._boxes: dict[tuple[int, int], ResponseQueue[Response]] = {}
        self._epoch = 0
        self._next_index = 0

    @asynccontextmanager
    async def generate(
        self,
        messages: Sequence[llm_pb2.Message],
        tools: Sequence[llm_pb2.Tool],
        parent: common_pb2.TraceContext,
    ) -> AsyncGenerator[ResponseQueue[Response]]:
        """One generation: its answers in order, `finished` last.

        Raises:
            ServiceFailed: the service refused it or broke.
        """
        await self.link.open()
        key = self._take_number()
        box = self._boxes[key] = ResponseQueue[Response](clock=self._clock)
        box.patience_s = self.link.patience_s
        try:
            generate = llm_pb2.Generate(messages=messages, tools=tools, trace_context=parent)
            await self.link.send(Request(generate=generate))
            yield box
        except TimeoutError:
            failure = ServiceFailed(
                self.link.backend.label, grpc.StatusCode.DEADLINE_EXCEEDED, "takes far longer than it usually does"
            )
            del self._boxes[key]
            await self.link.leave(failure)
            raise failure from None
        finally:
            box.close()
            if self._boxes.pop(key, None) is not None and self.link.is_open:
                with suppress(ServiceFailed):
                    await self.link.send(Request(cancel=llm_pb2.Cancel()))

    async def prefill(self, messages: Sequence[llm_pb2.Message], tools: Sequence[llm_pb2.Tool]) -> None:
        """Let the model read what the next generation will most likely begin with."""
        if self.link.is_open:
            # A stream that breaks now is opened again by the generation.
            with suppress(ServiceFailed):
                await self.link.send(Request(prefill=llm_pb2.Generate(messages=messages, tools=tools)))

    def _take_number(self) -> tuple[int, int]:
        if self._epoch != self.link.epoch:
            self._epoch, self._next_index = self.link.epoch, 0
        self._next_index += 1
        return self._epoch, self._next_index - 1

    async def _deliver(self, response: Response) -> None:
        kind = response.WhichOneof("streaming_response") or ""
        key = (self.link.epoch, getattr(response, kind).generation_index)
        box = self._boxes.get(key)
        if box is None:
            return
        if box.first_wait_s is None:
            box.first_wait_s = self._clock.now() - box.made_at
            self.link.backend.answered(box.first_wait_s)
        if kind == "finished":
            del self._boxes[key]
        await box.put(response)

    def _fail(self, failure: ServiceFailed) -> None:
        boxes = list(self._boxes.values())
        self._boxes.clear()
        for box in boxes:
            box.fail(failure)
