"""Find out once, at start, what the server has and can: its model, its voices, a format, streams and speeds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace

from voxmesh_runtime.errors import FailedPrecondition, Unavailable, VoxmeshError
from voxmesh_runtime.upstreams import NO_MODEL, REFUSALS, ServerFailure
from voxmesh_tts.engine import Voice
from voxmesh_tts_openai_speech.failures import Asked, to_error
from voxmesh_tts_openai_speech.server import Server, Way, Wish
from voxmesh_tts_openai_speech.settings import OpenAiSpeechSettings
from voxmesh_tts_openai_speech.voices import offered_voices

log = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.25
_MAX_WAIT_S = 5.0
_MAX_LISTED = 20
_FAST = 2.0
_HEEDED = 0.75
"""Speech at twice the speed is shorter than this share of the plain one, although no two are alike."""
_RATES_HERTZ = range(8000, 48001)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the server was seen to have and do."""

    voices: tuple[Voice, ...]
    way: Way
    sample_rate_hertz: int
    way_with_speed: Way | None = None
    """How a speed is asked for; None if it cannot be."""


@dataclass(frozen=True, slots=True)
class _Heard:
    samples: int
    source_hertz: int


async def connect(server: Server, settings: OpenAiSpeechSettings, model: str | None) -> Abilities:
    """Choose the model and try the server, which may take `start_timeout_s` to be there.

    Raises:
        FailedPrecondition: it has not the model, refuses the key, or gives no speech.
        Unavailable: it is not there or does not answer.
    """
    until = time.monotonic() + settings.start_timeout_s
    wait_s = _FIRST_WAIT_S
    while True:
        try:
            async with asyncio.timeout(max(settings.first_audio_timeout_s, settings.start_timeout_s)):
                server.model = await _chosen(server, settings, model)
                return await _tried(server, settings, offered_voices(await _listed(server), settings))
        except TimeoutError:
            raise Unavailable(
                f"the server at {settings.shown_url} does not answer; check that it is well, or raise "
                "VOXMESH_OPENAI_SPEECH_START_TIMEOUT_S while it loads its model"
            ) from None
        except ServerFailure as failure:
            if not failure.is_transient or time.monotonic() + wait_s > until:
                raise _start_error(failure, server, settings) from failure
            log.warning("waiting for the server", extra={"reason": failure.problem, "wait_s": wait_s})
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, _MAX_WAIT_S)


def _start_error(failure: ServerFailure, server: Server, settings: OpenAiSpeechSettings) -> VoxmeshError:
    if failure.status is None and failure.is_transient:
        return Unavailable(f"{failure.problem}; start the server, or check VOXMESH_OPENAI_SPEECH_BASE_URL")
    return to_error(failure, Asked(settings.shown_url, server.model, settings.voice))


async def _chosen(server: Server, settings: OpenAiSpeechSettings, wanted: str | None) -> str:
    """The model to ask for: the operator's, or the one that the server lists."""
    try:
        listed = await server.models()
    except ServerFailure as failure:
        _raise_if_serious(failure)
        log.info("the server lists no models", extra={"reason": failure.problem})
        listed = ()
    if wanted is not None:
        if listed and wanted not in listed:
            log.warning("the server does not list the model", extra={"model": wanted, "listed": listed[:_MAX_LISTED]})
        return wanted
    if len(listed) == 1:
        return listed[0]
    problem = f"the server lists {', '.join(listed[:_MAX_LISTED])}" if listed else "the server lists no models"
    raise FailedPrecondition("upstream", settings.shown_url, f"{problem}; choose one with --model")


async def _listed(server: Server) -> dict[str, tuple[str, ...]]:
    try:
        return await server.voices()
    except ServerFailure as failure:
        _raise_if_serious(failure)
        log.info("the server lists no voices", extra={"reason": failure.problem})
        return {}


async def _tried(server: Server, settings: OpenAiSpeechSettings, voices: tuple[Voice, ...]) -> Abilities:
    way, plain = await _first_that_speaks(server, settings, voices[0].name)
    # What comes at a rate that callers cannot ask for is converted.
    hertz = plain.source_hertz if plain.source_hertz in _RATES_HERTZ else settings.pcm_sample_rate_hertz
    abilities = Abilities(voices, way, hertz)
    if settings.speed:
        abilities = replace(abilities, way_with_speed=await _with_speed(server, settings, abilities, plain))
    log.info(
        "the server was tried",
        extra={
            "response_format": way.response_format,
            "streams": way.is_streamed,
            "sample_rate_hertz": hertz,
            "heeds_speed": abilities.way_with_speed is not None,
            "voices": len(voices),
        },
    )
    return abilities


def _ways(settings: OpenAiSpeechSettings) -> Iterator[Way]:
    for response_format in settings.response_formats:
        if settings.streaming:
            yield Way(response_format, is_streamed=True)
        yield Way(response_format, is_streamed=False)


async def _first_that_speaks(server: Server, settings: OpenAiSpeechSettings, voice: str) -> tuple[Way, _Heard]:
    first_failure = ServerFailure("the server gave no audio", is_transient=False)
    for number, way in enumerate(_ways(settings)):
        try:
            heard = await _heard(server, settings, Wish(voice, way))
        except ServerFailure as failure:
            _raise_if_serious(failure, {NO_MODEL})
            log.info("the server refuses a format", extra={"way": str(way), "reason": failure.problem})
            if not number:
                first_failure = failure
        else:
            if heard.samples:
                return way, heard
    raise first_failure


async def _with_speed(
    server: Server, settings: OpenAiSpeechSettings, abilities: Abilities, plain: _Heard
) -> Way | None:
    # vLLM-Omni takes no speed where it streams.
    for way in dict.fromkeys((abilities.way, replace(abilities.way, is_streamed=False))):
        try:
            fast = await _heard(server, settings, Wish(abilities.voices[0].name, way, speed=_FAST))
        except ServerFailure as failure:
            _raise_if_serious(failure)
            log.info("the server refuses a speed", extra={"way": str(way), "reason": failure.problem})
        else:
            return way if 0 < fast.samples < _HEEDED * plain.samples else None
    return None


async def _heard(server: Server, settings: OpenAiSpeechSettings, wish: Wish) -> _Heard:
    samples = hertz = 0
    async with aclosing(server.speech(settings.probe_text, wish)) as pieces:
        async for piece in pieces:
            samples += len(piece.samples)
            hertz = piece.source_hertz
    return _Heard(samples, hertz)


def _raise_if_serious(failure: ServerFailure, more: set[int] | None = None) -> None:
    """Raise what is no mere lack of an ability."""
    if failure.is_transient or failure.status in {*REFUSALS, *(more or ())}:
        raise failure
