"""A language model whose answers are scripted, token by token, with what goes wrong in their midst."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from voxmesh.llm.v1 import llm_pb2, llm_pb2_grpc
from voxmesh_runtime.control_tokens import refuse_control_tokens
from voxmesh_runtime.errors import Overloaded, Unavailable, VoxmeshError
from voxmesh_runtime.outcomes import applied
from voxmesh_runtime.settings import ServerSettings
from voxmesh_runtime.streams import AnyContext, StreamCall
from voxmesh_testing.virtual.service import FakeService, Work

Request = llm_pb2.StreamingGenerateRequest
Response = llm_pb2.StreamingGenerateResponse
Finished = llm_pb2.Finished
Call = StreamCall[Request, Response]

MAX_WAITING = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """One scripted answer; see `says` and `calls`."""

    pieces: Sequence[str] = ()
    tool_calls: Sequence[llm_pb2.ToolCall] = ()
    reason: Finished.Reason.ValueType | None = Finished.REASON_STOP
    """None breaks the stream after the pieces, as a proxy does whose upstream breaks."""
    refusal: VoxmeshError | None = None
    """Refuses the generation, and with it the stream."""
    pause_s: float = 0.0
    """Silence before the first piece, in seconds."""
    gap_s: float = 0.0
    """Silence before each further piece, in seconds."""


Scripted: TypeAlias = Answer | Callable[[llm_pb2.Generate], Answer]
"""An answer, or what chooses one by what is asked."""


def says(*pieces: str, **how: Any) -> Answer:
    """An answer of these pieces."""
    return Answer(pieces, **how)


def calls(name: str, *arguments: str, before: str = "", **how: Any) -> Answer:
    """An answer that calls a tool once with each of these arguments, after some text."""
    made = [
        llm_pb2.ToolCall(call_id=f"made_{number}", name=name, arguments_json=text, upstream_state=b"its own")
        for number, text in enumerate(arguments)
    ]
    return Answer([before] if before else [], made, Finished.REASON_TOOL_CALLS, **how)


class FakeLanguageModel(llm_pb2_grpc.LanguageModelServiceServicer, FakeService):
    """Answers each generation by the next of `answers`; the last one is given again and again."""

    def __init__(self, host: str = "somewhere", engine: str = "writer", settings: ServerSettings | None = None) -> None:
        FakeService.__init__(self, engine, host, settings=settings)
        self.answers: deque[Scripted] = deque([says("Hello.")])
        self.asked: list[llm_pb2.Generate] = []
        """All generations."""
        self.read: list[llm_pb2.Generate] = []
        """All that it was given to read ahead."""
        self.cancelled = 0
        """Generations whose end nobody waited for."""
        self.first_s = 0.1
        """Time to the first token, in seconds."""

    def play(self, *answers: Scripted) -> None:
        """What to answer from now on; forgets what was asked so far."""
        self.answers = deque(answers)
        self.asked.clear()
        self.read.clear()

    def messages(self, number: int) -> list[llm_pb2.Message]:
        """The conversation of one generation, from 0."""
        return list(self.asked[number].messages)

    def next_answer(self, generate: llm_pb2.Generate) -> Answer:
        """What this is answered by."""
        self.asked.append(generate)
        scripted = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        return scripted if isinstance(scripted, Answer) else scripted(generate)

    def register(self, server: Any) -> None:
        """Add it to a server."""
        llm_pb2_grpc.add_LanguageModelServiceServicer_to_server(self, server)

    async def StreamingGenerate(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the contract's name
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Answer the generations of one stream."""
        async with self.stream(request_iterator, context, Response) as (call, tasks):
            config = (await call.config()).config
            self.check_model(config.model)
            options = [applied(f"config.sampling.{each.name}") for each, _ in config.sampling.ListFields()]
            options += [applied("config.model")] if config.model else []
            await call.send(Response(ready=self.ready(options)))
            generations = _Generations(self, call)
            running = tasks.create_task(generations.run())
            await generations.take_requests()
            await asyncio.wait({running})

    async def GetModelInfo(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the contract's name
        self, request: llm_pb2.GetModelInfoRequest, context: AnyContext
    ) -> llm_pb2.GetModelInfoResponse:
        """Describe it."""
        del request, context
        return llm_pb2.GetModelInfoResponse(model_info=self.model_info(), tool_calls=True)


@dataclass(slots=True, eq=False)
class _Generation:
    index: int
    generate: llm_pb2.Generate
    work: Work
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)


class _Generations:
    """Those of one stream, one after another."""

    def __init__(self, service: FakeLanguageModel, call: Call) -> None:
        self._service, self._call = service, call
        self._waiting = asyncio.Queue[_Generation | None]()
        self._open: deque[_Generation] = deque()
        self._count = 0

    async def take_requests(self) -> None:
        """To the end of the requests."""
        async for kind, request in self._call:
            match kind:
                case "generate":
                    self._add(request.generate)
                case "prefill":
                    for message in request.prefill.messages:
                        refuse_control_tokens("prefill.messages", message.text)
                    if not self._open:
                        self._service.read.append(request.prefill)
                case _:
                    for generation in self._open:
                        generation.cancelled.set()
        self._waiting.put_nowait(None)

    def _add(self, generate: llm_pb2.Generate) -> None:
        for message in generate.messages:
            if message.role != llm_pb2.Message.ROLE_ASSISTANT:
                refuse_control_tokens("generate.messages", message.text)
        if len(self._open) > MAX_WAITING:
            raise Overloaded("too many generations of this stream wait already")
        generation = _Generation(self._count, generate, self._service.work())
        self._count += 1
        self._open.append(generation)
        self._waiting.put_nowait(generation)

    async def run(self) -> None:
        """Answer all generations."""
        while (generation := await self._waiting.get()) is not None:
            reason = await self._run_one(generation)
            self._open.remove(generation)
            await self._finish(generation, reason)

    async def _run_one(self, generation: _Generation) -> Finished.Reason.ValueType:
        if generation.cancelled.is_set():
            return Finished.REASON_CANCELLED
        answering = asyncio.create_task(self._answer(generation, self._service.next_answer(generation.generate)))
        cancelled = asyncio.create_task(generation.cancelled.wait())
        try:
            await asyncio.wait({answering, cancelled}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done() and not generation.cancelled.is_set():
                return answering.result()
            self._service.cancelled += 1
        except asyncio.CancelledError:
            self._service.cancelled += 1
            raise
        finally:
            answering.cancel()
            cancelled.cancel()
        return Finished.REASON_CANCELLED

    async def _answer(self, generation: _Generation, answer: Answer) -> Finished.Reason.ValueType:
        await self._service.works(self._service.first_s)
        generation.work.start()
        if answer.refusal is not None:
            raise answer.refusal
        for number, piece in enumerate(answer.pieces):
            await self._service.works(answer.gap_s if number else answer.pause_s)
            if piece:
                generation.work.output()
                delta = llm_pb2.TextDelta(generation_index=generation.index, text=piece)
                await self._call.send(Response(text_delta=delta))
        if not answer.pieces:
            await self._service.works(answer.pause_s)
        if answer.reason is None:
            raise Unavailable("the upstream's answer broke off; send the generation again")
        if not generation.generate.tools:
            # Nobody can run a call that nobody offered: the answer is its text.
            return Finished.REASON_STOP if answer.reason == Finished.REASON_TOOL_CALLS else answer.reason
        for call in answer.tool_calls:
            generation.work.output()
            made = llm_pb2.GeneratedToolCall(generation_index=generation.index, tool_call=call)
            await self._call.send(Response(tool_call=made))
        return answer.reason

    async def _finish(self, generation: _Generation, reason: Finished.Reason.ValueType) -> None:
        finished = Finished(
            generation_index=generation.index,
            reason=reason,
            usage=llm_pb2.Usage(input_tokens=7, output_tokens=3),
            model=self._service.engine,
            timing=generation.work.timing(),
        )
        await self._call.send(Response(finished=finished))
