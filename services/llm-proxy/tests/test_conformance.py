"""The proxy in front of a real llama.cpp server with a real model."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy.endpoint import Address, RemoteEndpoint
from voxmesh_llm_proxy.servicer import LlmService
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_runtime.server import Service
from voxmesh_runtime.settings import ServerSettings
from voxmesh_testing.llm import LlmConformance, generate, prefill
from voxmesh_testing.streams import exchange

pytestmark = pytest.mark.engine


class TestLlamaCpp(LlmConformance):
    """Every rule of the slot, on one server that all tests share."""

    address: Address

    @pytest.fixture(autouse=True)
    def _shared_server(self, llama: Address) -> None:  # pyright: ignore[reportUnusedFunction] # pytest calls it
        self.address = llama

    def service(self, settings: ServerSettings) -> Service:
        assert isinstance(settings, LlmSettings)
        key = SecretStr(self.address.api_key)
        return LlmService(
            RemoteEndpoint(self.address.url, settings.model_copy(update={"upstream_api_key": key})), settings
        )

    async def test_what_was_read_ahead_is_not_read_again(self) -> None:
        begin = "Once there was a small grey cat that lived by the sea and was fond of"
        brief = self.config(sampling=llm_pb2.Sampling(max_output_tokens=4))
        async with self.served(prefill=True) as (method, _, _), exchange(method, brief) as stream:
            await stream.send(prefill(begin), generate(f"{begin} fish. Why?"))
            usage = (await stream.until("finished")).usage
        assert usage.cached_input_tokens >= len(begin.split())
