"""Channels to the services behind the coordinator, shared by all sessions."""

from __future__ import annotations

import grpc

from voxmesh.llm.v1 import llm_pb2_grpc
from voxmesh.stt.v1 import stt_pb2_grpc
from voxmesh.tts.v1 import tts_pb2_grpc
from voxmesh.turn.v1 import turn_pb2_grpc
from voxmesh.vlm.v1 import vlm_pb2_grpc
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_runtime.channels import open_channel


class Services:
    """One stub per service; streams of all sessions spread over the addresses of its target."""

    def __init__(self, settings: CoordinatorSettings) -> None:
        self.settings = settings
        targets = {slot: getattr(settings, f"{slot}_target") for slot in ("turn", "stt", "tts", "llm", "vlm")}
        self.labels: dict[str, str] = {slot: f"{slot} at {target}" for slot, target in targets.items()}
        self._channels: dict[str, grpc.aio.Channel] = {slot: open_channel(target) for slot, target in targets.items()}
        self.turn = turn_pb2_grpc.TurnDetectionServiceStub(self._channels["turn"])
        self.stt = stt_pb2_grpc.SpeechToTextServiceStub(self._channels["stt"])
        self.tts = tts_pb2_grpc.TextToSpeechServiceStub(self._channels["tts"])
        self.llm = llm_pb2_grpc.LanguageModelServiceStub(self._channels["llm"])
        self.vlm = vlm_pb2_grpc.VisionLanguageServiceStub(self._channels["vlm"])

    async def close(self) -> None:
        """Close all channels."""
        for channel in self._channels.values():
            await channel.close()
