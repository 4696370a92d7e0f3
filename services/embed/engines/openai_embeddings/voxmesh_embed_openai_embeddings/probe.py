"""Find out once, at start, what the server has and can: its model, its vectors, and whether they may be shorter."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

import numpy as np

from voxmesh_embed.engine import Values
from voxmesh_embed_openai_embeddings.failures import Asked, start_error
from voxmesh_embed_openai_embeddings.server import Listed, Server
from voxmesh_embed_openai_embeddings.settings import OpenAiEmbeddingsSettings
from voxmesh_runtime.errors import FailedPrecondition, Unavailable
from voxmesh_runtime.quoting import listed as quoted_list
from voxmesh_runtime.upstreams import BAD_REQUESTS, REFUSALS, ServerFailure

log = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.25
_MAX_WAIT_S = 5.0
_MAX_TOKENS = 8192
_PROBE_TEXT = "Hello, how are you today?"
_NEIGHBOURS = ("Tomorrow it will rain.", "The price of bread.", "Seven.")
_SAME = 0.99
"""Likeness of two vectors of the same text, cut or not, alone or not; two of different texts are less alike."""
_MIXING = (
    "the server's vectors depend on their neighbours; give it one slot, "
    "or set VOXMESH_OPENAI_EMBEDDINGS_MAX_TEXTS and VOXMESH_OPENAI_EMBEDDINGS_MAX_CONCURRENT_REQUESTS to 1"
)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the server was seen to have and do."""

    dimensions: int
    max_tokens: int
    shorter_dimensions: bool


async def connect(server: Server, settings: OpenAiEmbeddingsSettings, model: str | None) -> Abilities:
    """Choose the model and try the server, which may take `start_timeout_s` to be there.

    Raises:
        FailedPrecondition: it has not the model, refuses the key, or gives no vectors.
        Unavailable: it is not there or does not answer.
    """
    until = time.monotonic() + settings.start_timeout_s
    wait_s = _FIRST_WAIT_S
    while True:
        try:
            async with asyncio.timeout(max(settings.request_timeout_s, settings.start_timeout_s)):
                chosen = await _chosen(server, settings, model)
                server.model = chosen.name
                return await _tried(server, settings, chosen)
        except TimeoutError:
            raise Unavailable(
                f"the server at {settings.shown_url} does not answer; check that it is well, or raise "
                "VOXMESH_OPENAI_EMBEDDINGS_START_TIMEOUT_S while it loads its model"
            ) from None
        except ServerFailure as failure:
            if not failure.is_transient or time.monotonic() + wait_s > until:
                raise start_error(failure, Asked(settings.shown_url, server.model)) from failure
            log.warning("waiting for the server", extra={"reason": failure.problem, "wait_s": wait_s})
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, _MAX_WAIT_S)


async def _chosen(server: Server, settings: OpenAiEmbeddingsSettings, wanted: str | None) -> Listed:
    """The model to ask for: the operator's, or the one that the server lists."""
    try:
        known = await server.models()
    except ServerFailure as failure:
        if failure.is_transient or failure.status in REFUSALS:
            raise
        log.info("the server lists no models", extra={"reason": failure.problem})
        known = ()
    if wanted is not None:
        found = next((model for model in known if model.name == wanted), None)
        if known and found is None:
            log.warning("the server does not list the model", extra={"model": wanted})
        return found or Listed(wanted)
    if len(known) == 1:
        return known[0]
    problem = f"the server lists {quoted_list([model.name for model in known])} as its models; choose one with --model"
    raise FailedPrecondition("upstream", settings.shown_url, problem)


async def _tried(server: Server, settings: OpenAiEmbeddingsSettings, model: Listed) -> Abilities:
    vector = await _first(server)
    server.dimensions = len(vector)
    await _look_for_mixing(server, settings, vector)
    abilities = Abilities(
        len(vector),
        settings.max_tokens or model.max_tokens or _MAX_TOKENS,
        await _may_be_shorter(server, settings, vector),
    )
    log.info(
        "the server was tried",
        extra={
            "encoding_format": server.encoding_format,
            "dimensions": abilities.dimensions,
            "shorter_dimensions": abilities.shorter_dimensions,
        },
    )
    return abilities


async def _first(server: Server) -> Values:
    """A vector of the model, as base64 where the server knows that."""
    server.dimensions = None
    server.encoding_format = "base64"
    try:
        return (await server.embed([_PROBE_TEXT])).vectors[0]
    except ServerFailure as failure:
        if failure.status not in BAD_REQUESTS:
            raise
        log.info("the server refuses base64", extra={"reason": failure.problem})
    server.encoding_format = "float"
    return (await server.embed([_PROBE_TEXT])).vectors[0]


async def _look_for_mixing(server: Server, settings: OpenAiEmbeddingsSettings, vector: Values) -> None:
    """Warn of a server whose vectors depend on what else it is asked at the time, as llama.cpp's did with slots."""
    if settings.max_texts == 1:
        return
    among = (await server.embed([*_NEIGHBOURS[: settings.max_texts - 1], _PROBE_TEXT])).vectors[-1]
    likeness = float(among @ vector)
    if likeness < _SAME:
        log.warning(_MIXING, extra={"cosine": round(likeness, 3)})


async def _may_be_shorter(server: Server, settings: OpenAiEmbeddingsSettings, vector: Values) -> bool:
    """Whether the model keeps its meaning in fewer dimensions: servers refuse them where it does not, or ignore it."""
    half = len(vector) // 2
    if settings.shorter_dimensions != "auto" or not half:
        return settings.shorter_dimensions == "yes"
    try:
        shorter = (await server.embed([_PROBE_TEXT], half)).vectors[0]
    except ServerFailure as failure:
        if failure.is_transient:
            raise
        return False
    first = vector[:half]
    return float(shorter @ first) > _SAME * float(np.linalg.norm(first))
