"""The mesh's models loaded into one process: the same engines with the same settings, and no gRPC."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from voxmesh.llm.v1 import llm_pb2
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_llm_proxy.endpoint import Address
from voxmesh_llm_proxy.messages import GenerationOptions, generation_options, request_body
from voxmesh_llm_proxy.open_answer import OpenAnswer
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.supervisor import LlamaCpp
from voxmesh_llm_proxy.transport import Transport
from voxmesh_runtime.audio import Samples
from voxmesh_runtime.batcher import Batcher
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.engines import load_engine
from voxmesh_runtime.settings import ServerSettings
from voxmesh_runtime.stepper import Stepper
from voxmesh_runtime.thread import ModelThread
from voxmesh_stt.engine import Engine as SttEngine
from voxmesh_stt.engine import Step, Transcript
from voxmesh_stt.settings import SttSettings
from voxmesh_tts.engine import Engine as TtsEngine
from voxmesh_tts.settings import TtsSettings
from voxmesh_turn.engine import Engine as TurnEngine
from voxmesh_turn.settings import TurnSettings


class Chat:
    """The language model: a llama.cpp server as the proxy runs it, asked over HTTP."""

    def __init__(self, http: Transport, address: Address, options: GenerationOptions) -> None:
        self._http = http
        self._address = address
        self._options = options

    async def ask(self, messages: Sequence[llm_pb2.Message]) -> AsyncIterator[str]:
        """The pieces of an answer."""
        body = request_body(llm_pb2.Generate(messages=messages), self._options)
        answer = OpenAnswer(await self._http.stream(self._address, "/chat/completions", body))
        try:
            while (event := await answer.next()) is not None:
                if event.text:
                    yield event.text
        finally:
            await answer.close()


@dataclass(frozen=True, slots=True)
class Models:
    """Loaded and warm; each engine with the one thread that the mesh gives it."""

    turn: TurnEngine
    judge: Batcher[Samples, float]
    stt: SttEngine
    recognizer: Batcher[Step, Sequence[Transcript]]
    tts: TtsEngine
    voice: Stepper
    chat: Chat


@asynccontextmanager
async def loaded_models(settings: CoordinatorSettings) -> AsyncGenerator[Models]:
    """All models for the time of a block."""
    turn = _engine("turn", TurnSettings())
    stt = _engine("stt", SttSettings())
    tts = _engine("tts", TtsSettings())
    judge = Batcher[Samples, float](ModelThread("turn"), turn.judge)
    recognizer = Batcher[Step, Sequence[Transcript]](ModelThread("stt"), stt.step)
    voice = Stepper(ModelThread("tts"))
    loaded = ((turn, judge.thread), (stt, recognizer.thread), (tts, voice.thread))
    for engine, thread in loaded:
        await thread.call(engine.load)
        await thread.call(engine.warm_up)
    try:
        async with _chat(settings) as chat:
            yield Models(turn, judge, stt, recognizer, tts, voice, chat)
    finally:
        for engine, thread in loaded:
            thread.post(engine.close)
            await thread.close()


def _engine(slot: str, settings: Any) -> Any:  # each slot has an engine protocol of its own
    context = EngineContext.from_settings(ServerSettings())
    return load_engine(slot, settings.engine)(context)


@asynccontextmanager
async def _chat(settings: CoordinatorSettings) -> AsyncGenerator[Chat]:
    server, http = LlamaCpp(LlmSettings()), Transport(None, LlmSettings().connect_timeout_s)
    await server.start()
    try:
        address = await server.address()
        listed = json.loads(await http.get(address, "/models"))
        sampling = llm_pb2.Sampling(max_output_tokens=settings.max_reply_tokens, temperature=settings.temperature)
        config = llm_pb2.GenerationConfig(sampling=sampling)
        options = generation_options(config, listed["data"][0]["id"], LlmSettings(), thinking=False)
        yield Chat(http, address, options)
    finally:
        await http.close()
        await server.stop()
