"""Our own llama.cpp server remembers each of several conversations that take turns."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import pytest

from voxmesh.llm.v1 import llm_pb2, llm_pb2_grpc
from voxmesh_llm_proxy.endpoint import Address
from voxmesh_llm_proxy.servicer import LlmService
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.supervisor import LlamaCpp
from voxmesh_testing.streams import exchange, serving

pytestmark = pytest.mark.engine

Message = llm_pb2.Message
Request = llm_pb2.StreamingGenerateRequest
BOTH = Message(role=Message.ROLE_SYSTEM, text="You talk with a person. " * 10)
OPENING = Request(config=llm_pb2.GenerationConfig(sampling=llm_pb2.Sampling(max_output_tokens=4)))


def tokens_read(address: Address) -> int:
    """Tokens of prompts that the server has read, and not found in its memory."""
    url = f"{address.url.removesuffix('/v1')}/metrics"
    with urlopen(HttpRequest(url, headers={"Authorization": f"Bearer {address.api_key}"})) as answer:  # noqa: S310 # loopback
        found = re.search(r"^llamacpp:prompt_tokens_total (\d+)", answer.read().decode(), re.MULTILINE)
    assert found is not None
    return int(found[1])


async def test_conversations_that_take_turns_are_not_read_anew() -> None:
    settings = LlmSettings(concurrency=2)
    server = LlamaCpp(settings)
    asked = read = 0
    async with serving(LlmService(server, settings), settings) as (channel, _), AsyncExitStack() as stack:
        method = llm_pb2_grpc.LanguageModelServiceStub(channel).StreamingGenerate
        streams = [await stack.enter_async_context(exchange(method, OPENING)) for _ in range(2)]
        said = [[BOTH], [BOTH]]
        for turn in range(3):
            before = await asyncio.to_thread(tokens_read, await server.address())
            asked = 0
            for topic, stream, messages in zip(("rivers", "dinner"), streams, said, strict=True):
                messages.append(Message(role=Message.ROLE_USER, text=f"Tell me about {topic}, part {turn}. " * 2))
                await stream.send(Request(generate=llm_pb2.Generate(messages=messages)))
                asked += (await stream.until("finished")).usage.input_tokens
                messages.append(Message(role=Message.ROLE_ASSISTANT, text="Well, it is like this. " * 2))
            read = await asyncio.to_thread(tokens_read, await server.address()) - before
    # Of the last turn only what was said in it, and the reply before it, is new.
    assert 0 < read < asked / 2
