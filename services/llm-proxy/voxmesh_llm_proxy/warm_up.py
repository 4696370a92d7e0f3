"""Wait for the upstream and let it write one token, so that the first caller finds it warm."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from openai import APIError

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy.catalog import Catalog
from voxmesh_llm_proxy.messages import generation_options, request_body
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.upstream import Effort, Upstream
from voxmesh_llm_proxy.upstream_errors import UpstreamFailure, before_answer
from voxmesh_runtime.errors import Overloaded, TimedOut, Unavailable

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5
MAX_WAIT_S = 10.0


async def warm_up(upstream: Upstream, catalog: Catalog, settings: LlmSettings) -> None:
    """Return once the upstream has written a token; waits as long as it is away, busy or loading.

    Raises:
        FailedPrecondition: it refuses the key or has not the model.
        InvalidArgument: it refuses what every request holds.
    """
    wait_s = FIRST_WAIT_S
    while True:
        try:
            await _once(upstream, catalog, settings)
        except (Unavailable, Overloaded, TimedOut) as error:
            log.warning("waiting for the upstream", extra={"reason": error.message, "wait_s": wait_s})
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, MAX_WAIT_S)
        else:
            return


async def _once(upstream: Upstream, catalog: Catalog, settings: LlmSettings) -> None:
    try:
        await catalog.read()
    except APIError as error:
        complaint = UpstreamFailure.of(error).complaint
        raise before_answer(complaint, settings.upstream_model or "", settings.upstream_url or "") from error
    options = generation_options(llm_pb2.GenerationConfig(), catalog.default, settings, thinking=False)
    options = replace(options, fields={**options.fields, "max_tokens": 1})
    message = llm_pb2.Message(role=llm_pb2.Message.ROLE_USER, text="Hello")
    body = request_body(llm_pb2.Generate(messages=[message]), options)
    async with upstream.chat(body, Effort(), owner=None) as chunks:
        async for _ in chunks:
            pass
