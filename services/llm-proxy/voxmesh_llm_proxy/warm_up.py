"""Wait for the upstream and let it write one token, so that the first caller finds it warm."""

from __future__ import annotations

import asyncio
import logging

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy.history import History
from voxmesh_llm_proxy.messages import StreamOptions
from voxmesh_llm_proxy.upstream import LOOK_TIMEOUT_S, Upstream, Wanted
from voxmesh_llm_proxy.upstream_errors import UpstreamFailure, before_answer
from voxmesh_runtime.errors import Overloaded, TimedOut, Unavailable

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5
MAX_WAIT_S = 10.0


async def warm_up(upstream: Upstream) -> None:
    """Return once the upstream has written a token; waits as long as it is away, busy or loading.

    Raises:
        FailedPrecondition: it refuses the key or has not the model.
        InvalidArgument: it refuses what every request holds.
    """
    wait_s = FIRST_WAIT_S
    while True:
        try:
            await _once(upstream)
        except (Unavailable, Overloaded, TimedOut) as error:
            log.warning("waiting for the upstream", extra={"reason": error.message, "wait_s": wait_s})
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, MAX_WAIT_S)
        else:
            return


async def _once(upstream: Upstream) -> None:
    try:
        await upstream.catalog.read()
    except UpstreamFailure as failure:
        raise before_answer(failure.complaint, upstream.asked(upstream.named.model or "")) from failure
    message = llm_pb2.Message(role=llm_pb2.Message.ROLE_USER, text="Hello")
    config = llm_pb2.GenerationConfig(sampling=llm_pb2.Sampling(max_output_tokens=1))
    wanted = Wanted(llm_pb2.Generate(messages=[message]), StreamOptions(config), History())
    try:
        answering = await upstream.begin(wanted, owner=None)
    except UpstreamFailure as failure:
        raise failure.told or Unavailable("the upstream failed; try again") from failure
    try:
        async for _ in answering.events(LOOK_TIMEOUT_S):
            pass
    finally:
        await answering.close()
