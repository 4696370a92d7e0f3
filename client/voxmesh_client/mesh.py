"""All services of a mesh behind one object."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh_client.conversation import Conversation
from voxmesh_client.embeddings import Embeddings
from voxmesh_client.endpoint import Endpoint
from voxmesh_client.language_model import LanguageModel
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import COORDINATOR, DEFAULT_BASE_PORT, EMBED, LLM, SLOTS, STT, TTS, TURN, VLM
from voxmesh_client.speech_to_text import SpeechToText
from voxmesh_client.text_to_speech import TextToSpeech
from voxmesh_client.trace import Traces
from voxmesh_client.turn_detection import TurnDetection
from voxmesh_client.vision_language import VisionLanguage


class Mesh:
    """Channels to every service; made inside a running event loop, used as `async with Mesh.local() as mesh`.

    Nothing is contacted before the first call.
    """

    def __init__(self, settings: MeshSettings | None = None) -> None:
        self.settings = settings or MeshSettings()
        self._endpoints = {slot: Endpoint(slot, self.settings) for slot in SLOTS}
        self.turn_detection = TurnDetection(self._endpoints[TURN])
        self.speech_to_text = SpeechToText(self._endpoints[STT])
        self.text_to_speech = TextToSpeech(self._endpoints[TTS])
        self.language_model = LanguageModel(self._endpoints[LLM])
        self.vision_language = VisionLanguage(self._endpoints[VLM])
        self.embeddings = Embeddings(self._endpoints[EMBED])
        self.traces = Traces(self._endpoints[COORDINATOR])

    @classmethod
    def local(cls, base_port: int = DEFAULT_BASE_PORT) -> Self:
        """The mesh that `voxmesh up` runs on this machine, whatever targets the environment names."""
        targets = {f"{slot.name}_target": None for slot in SLOTS}
        return cls(MeshSettings(base_port=base_port).model_copy(update=targets))

    def conversation(self, config: conversation_pb2.ConversationConfig) -> Conversation:
        """A spoken conversation, to be used as `async with mesh.conversation(config) as conversation`."""
        return Conversation(self._endpoints[COORDINATOR], config)

    async def slot_status(self) -> list[conversation_pb2.SlotStatus]:
        """How the coordinator finds the services behind it just now, slot by slot in the order of a turn.

        Raises:
            MeshError: the coordinator does not answer; UNIMPLEMENTED where it is too old to tell.
        """
        endpoint = self._endpoints[COORDINATOR]
        method = conversation_pb2_grpc.ConversationServiceStub(endpoint.channel).GetStatus
        return list((await endpoint.call(method, conversation_pb2.GetStatusRequest())).slots)

    async def close(self) -> None:
        """Close every channel; open streams are cancelled."""
        await asyncio.gather(*(endpoint.close() for endpoint in self._endpoints.values()))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
