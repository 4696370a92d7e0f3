"""One spoken question from a file, asked as a person would: in real time, then silence until it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_client.conversation import Conversation
from voxmesh_client.errors import MeshError
from voxmesh_client.events import Event
from voxmesh_client.mesh import Mesh
from voxmesh_client.playback import Playback, SilentPlayer
from voxmesh_client.sound import Pacer, file_chunks, pcm, sent_hertz, silence
from voxmesh_client.turns import Turn, TurnLog
from voxmesh_runtime.audio import AudioFile

CHUNK_S = 0.02
REPLY_HERTZ = 24000
_LISTEN_S = 0.6
"""Silence sent in any case, so that the last words are noticed."""
_SPEECH_S = 3.0
"""Silence after which no speech is expected any more."""
_PATIENCE_S = 30.0
"""Silence after which no answer is expected any more."""


def spoken_config(
    sample_rate_hertz: int, languages: tuple[str, ...] = (), *, purpose: str = ""
) -> conversation_pb2.ConversationConfig:
    """A conversation with PCM_S16LE both ways: the microphone at a rate, replies at REPLY_HERTZ."""
    recognition = stt_pb2.RecognitionConfig(
        audio_format=pcm(sample_rate_hertz).to_proto(), interim_results=True, language_codes=languages
    )
    return conversation_pb2.ConversationConfig(
        recognition=recognition, reply_audio_format=pcm(REPLY_HERTZ).to_proto(), purpose=purpose
    )


async def ask(
    mesh: Mesh,
    path: Path,
    config: conversation_pb2.ConversationConfig | None = None,
    *,
    purpose: str = "",
    on_event: Callable[[Event], None] = lambda _event: None,
    on_session: Callable[[conversation_pb2.SessionStarted], None] = lambda _session: None,
) -> list[Turn]:
    """The turns that came of a file; none when no speech was heard in it.

    Args:
        mesh: whose coordinator is asked.
        path: the file.
        config: by default `spoken_config` at the rate at which the file is sent.
        purpose: of the conversation, where there is no `config`.
        on_event: gets every event.
        on_session: gets what the coordinator made of the config.

    Raises:
        AudioFileError: the file cannot be read.
        MeshError: the coordinator refuses or fails.
    """
    log = TurnLog()
    playback = Playback(SilentPlayer(REPLY_HERTZ))
    with AudioFile(path) as file:
        chosen = config or spoken_config(sent_hertz(file.sample_rate_hertz), purpose=purpose)
        async with mesh.conversation(chosen) as conversation:
            on_session(conversation.session)
            sender = asyncio.create_task(_send(conversation, file, log))
            teller = asyncio.create_task(playback.tell(conversation))
            try:
                async for event in conversation:
                    _take(event, log, playback)
                    on_event(event)
            finally:
                await end_tasks(sender, teller)
    return log.turns


def _take(event: Event, log: TurnLog, playback: Playback) -> None:
    log.take(event)
    match event:
        case conversation_pb2.ReplyAudio():
            playback.take(event.turn_index, event.data)
        case conversation_pb2.Interrupted():
            playback.interrupt()
        case _:
            pass


async def _send(conversation: Conversation, file: AudioFile, log: TurnLog) -> None:
    """Send the file at the pace of speech, then silence until all is answered."""
    pacer = Pacer(CHUNK_S)
    try:
        async for chunk in file_chunks(file, CHUNK_S):
            await pacer.wait()
            await conversation.send_audio(chunk)
        await _send_silence(conversation, sent_hertz(file.sample_rate_hertz), pacer, log)
    finally:  # a damaged file too ends the conversation, or its events would never end
        await conversation.finish()


async def _send_silence(conversation: Conversation, sample_rate_hertz: int, pacer: Pacer, log: TurnLog) -> None:
    quiet = silence(sample_rate_hertz, CHUNK_S)
    for sent in range(round(_PATIENCE_S / CHUNK_S)):
        sent_s = sent * CHUNK_S
        if (log.is_answered and sent_s >= _LISTEN_S) or (not log.has_speech and sent_s >= _SPEECH_S):
            return
        await pacer.wait()
        await conversation.send_audio(quiet)


async def end_tasks(*tasks: asyncio.Task[None]) -> None:
    """Stop the tasks that send; why the conversation failed is told by its events."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, MeshError):
            await task
