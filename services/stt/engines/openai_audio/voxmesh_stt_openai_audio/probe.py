"""Find out once, at start, what the server can do: which model it has, and what it answers to a spoken sentence."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from importlib.resources import as_file, files

from voxmesh_runtime.audio import Samples, read_audio_file
from voxmesh_runtime.errors import FailedPrecondition, Unavailable, VoxmeshError
from voxmesh_runtime.upstreams import NO_MODEL, REFUSALS, ServerFailure
from voxmesh_stt_openai_audio.answers import Answer
from voxmesh_stt_openai_audio.failures import Asked, to_error
from voxmesh_stt_openai_audio.server import Form, Server
from voxmesh_stt_openai_audio.settings import OpenAiAudioSettings

log = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.25
_MAX_WAIT_S = 5.0
_MAX_LISTED = 20


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the server was seen to do."""

    tells_language: bool = False
    gives_words: bool = False
    streams: bool = False


def spoken_sentence() -> Samples:
    """2.6 s of English at 16 kHz: whether a server gives word times shows only where there are words."""
    with as_file(files("voxmesh_stt_openai_audio") / "speech" / "young_man.flac") as path:
        return read_audio_file(path)[0]


async def connect(server: Server, settings: OpenAiAudioSettings, model: str | None) -> Abilities:
    """Choose the model and try the server, which may take `start_timeout_s` to be there.

    Raises:
        FailedPrecondition: it has not the model, refuses the key, or takes no transcriptions.
        Unavailable: it is not there or does not answer.
    """
    until = time.monotonic() + settings.start_timeout_s
    wait_s = _FIRST_WAIT_S
    while True:
        try:
            async with asyncio.timeout(max(settings.timeout_s, settings.start_timeout_s)):
                server.model = await _chosen(server, settings, model)
                return await _tried(server, settings)
        except TimeoutError:
            raise Unavailable(
                f"the server at {settings.shown_url} does not answer; check that it is well, or raise "
                "VOXMESH_OPENAI_AUDIO_START_TIMEOUT_S while it loads its model"
            ) from None
        except ServerFailure as failure:
            if not failure.is_transient or time.monotonic() + wait_s > until:
                raise _start_error(failure, server, settings) from failure
            log.warning("waiting for the server", extra={"reason": failure.problem, "wait_s": wait_s})
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, _MAX_WAIT_S)


def _start_error(failure: ServerFailure, server: Server, settings: OpenAiAudioSettings) -> VoxmeshError:
    error = to_error(failure, Asked(settings.shown_url, server.model))
    if failure.status is None and failure.is_transient:
        message = f"{failure.problem}; start the server, or check VOXMESH_OPENAI_AUDIO_BASE_URL"
        return Unavailable(message)
    return error


async def _chosen(server: Server, settings: OpenAiAudioSettings, wanted: str | None) -> str:
    """The model to ask for: the operator's, or the one that the server lists."""
    try:
        listed = await server.models()
    except ServerFailure as failure:
        if failure.is_transient or failure.status in REFUSALS:
            raise
        # Such as whisper.cpp, which has no list and takes any name.
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


async def _tried(server: Server, settings: OpenAiAudioSettings) -> Abilities:
    sentence = spoken_sentence()
    verbose = streamed = None
    if settings.verbose_json:
        verbose = await _answer(server, sentence, Form(is_verbose=True, wants_words=True))
    if settings.streaming:
        streamed = await _answer(server, sentence, Form(is_streamed=True))
    if verbose is None and streamed is None:
        await server.transcribe(sentence, Form())
    abilities = Abilities(
        tells_language=verbose is not None and bool(verbose.language_code),
        gives_words=verbose is not None and verbose.has_words and bool(verbose.words or not verbose.text),
        streams=streamed is not None and streamed.is_streamed,
    )
    log.info(
        "the server was tried",
        extra={"language": abilities.tells_language, "words": abilities.gives_words, "streams": abilities.streams},
    )
    return abilities


async def _answer(server: Server, sentence: Samples, form: Form) -> Answer | None:
    """The answer to an optional wish; None if the server refuses it."""
    try:
        return await server.transcribe(sentence, form)
    except ServerFailure as failure:
        if failure.is_transient or failure.status in {*REFUSALS, NO_MODEL}:
            raise
        wish = "verbose_json" if form.is_verbose else "stream"
        log.info("the server refuses an option", extra={"option": wish, "reason": failure.problem})
        return None
