"""What a session replies with, shared by all its replies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.session.v1 import session_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_coordinator.durability.state import SessionState
from voxmesh_coordinator.languages import SpokenLanguages
from voxmesh_coordinator.registry import BackendRegistry
from voxmesh_coordinator.reply.ending import line_of
from voxmesh_coordinator.reply.language_model import StreamingLanguageModel
from voxmesh_coordinator.reply.sent_audio import SentAudio
from voxmesh_coordinator.reply.tools import ToolCallTracker
from voxmesh_coordinator.reply.upstreams import LanguageModel, Voice
from voxmesh_coordinator.reply.voice import StreamingVoice
from voxmesh_coordinator.settings import REPLY_FORMAT
from voxmesh_routing.failover import FailoverStream
from voxmesh_runtime.audio import AudioFormat
from voxmesh_runtime.control_tokens import refuse_control_tokens

Record = session_pb2.Record


@dataclass(frozen=True, slots=True)
class ReplyParts:
    """What a session replies with; `voice` is None where replies are text alone."""

    language_model: LanguageModel
    voice: Voice | None
    state: SessionState
    sent_audio: SentAudio
    tools: ToolCallTracker
    system_prompt: str
    tool_rounds: int
    filler: str
    filler_after_s: float | None
    note: Callable[[Record], None]
    """Keeps what another coordinator needs to go on with a reply; written with the next response."""
    writable: Callable[[], Awaitable[None]]
    """Waits while too much is on its way to the client."""
    line: Callable[[int], str]
    """The operator's line for an end, `ReplyFinished.Reason`; empty where there is none."""
    streams: Sequence[FailoverStream[Any, Any, Any]]
    """The streams to the services."""


def reply_parts(
    config: conversation_pb2.ConversationConfig,
    services: BackendRegistry,
    tools: ToolCallTracker,
    languages: SpokenLanguages,
    state: SessionState,
    *,
    note: Callable[[Record], None],
    writable: Callable[[], Awaitable[None]],
) -> ReplyParts:
    """What a session with this config replies with.

    Raises:
        InvalidArgument: the system prompt holds what the language model would refuse in every turn.
    """
    settings = services.settings
    system_prompt = config.system_prompt or settings.system_prompt
    refuse_control_tokens("config.system_prompt", system_prompt)
    reply_format = config.reply_audio_format
    if not config.HasField("reply_audio_format"):
        reply_format = REPLY_FORMAT.to_proto()
    audio_format = AudioFormat.from_proto(reply_format, "config.reply_audio_format")
    language_model, voice = StreamingLanguageModel(services, config.language_model), None
    if not config.text_replies_only:
        synthesis = tts_pb2.SynthesisConfig(audio_format=reply_format, voice=config.voice, word_time_offsets=True)
        voice = StreamingVoice(services, synthesis, audio_format)
    return ReplyParts(
        language_model,
        voice,
        state,
        SentAudio(audio_format),
        tools,
        system_prompt=system_prompt,
        tool_rounds=settings.tool_rounds,
        filler=settings.filler,
        filler_after_s=settings.filler_after_s,
        note=note,
        writable=writable,
        line=lambda reason: line_of(settings.lines, reason, languages.current),
        streams=[language_model.stream, *([voice.stream] if voice is not None else [])],
    )
