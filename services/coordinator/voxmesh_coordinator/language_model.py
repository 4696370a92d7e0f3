"""A session's generations, one after another on one stream to the llm service."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress

from voxmesh.common.v1 import common_pb2
from voxmesh.llm.v1 import llm_pb2
from voxmesh_coordinator.failures import ServiceFailed
from voxmesh_coordinator.link import Link
from voxmesh_coordinator.mailbox import Mailbox
from voxmesh_coordinator.services import Services

Request = llm_pb2.StreamingGenerateRequest
Response = llm_pb2.StreamingGenerateResponse


class LanguageModel:
    """Answers of the language model; leaving a generation before its end cancels it upstream."""

    def __init__(self, services: Services, model: str) -> None:
        settings = services.settings
        sampling = llm_pb2.Sampling(max_output_tokens=settings.max_reply_tokens, temperature=settings.temperature)
        self.link = Link[Request, Response](
            services.labels["llm"],
            services.llm.StreamingGenerate,
            Request(config=llm_pb2.GenerationConfig(model=model, sampling=sampling)),
            on_response=self._deliver,
            on_failure=self._fail,
            connect_timeout_s=settings.connect_timeout_s,
        )
        self._boxes: dict[tuple[int, int], Mailbox[Response]] = {}
        self._epoch = 0
        self._next_index = 0

    @asynccontextmanager
    async def generate(
        self,
        messages: Sequence[llm_pb2.Message],
        tools: Sequence[llm_pb2.Tool],
        parent: common_pb2.TraceContext,
    ) -> AsyncGenerator[Mailbox[Response]]:
        """One generation: its answers in order, `finished` last.

        Raises:
            ServiceFailed: the service refused it or broke.
        """
        await self.link.open()
        key = self._take_number()
        box = self._boxes[key] = Mailbox[Response]()
        try:
            generate = llm_pb2.Generate(messages=messages, tools=tools, trace_context=parent)
            await self.link.send(Request(generate=generate))
            yield box
        finally:
            box.close()
            if self._boxes.pop(key, None) is not None and self.link.is_open:
                with suppress(ServiceFailed):
                    await self.link.send(Request(cancel=llm_pb2.Cancel()))

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
        if kind == "finished":
            del self._boxes[key]
        await box.put(response)

    def _fail(self, failure: ServiceFailed) -> None:
        boxes = list(self._boxes.values())
        self._boxes.clear()
        for box in boxes:
            box.fail(failure)
