"""The seven services of a mesh: their names, modules, default ports and gRPC services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DEFAULT_BASE_PORT: Final = 50050
"""Port of the coordinator on loopback where nobody names another."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One kind of service."""

    name: str
    """Short name, as in `VOXMESH_STT_TARGET`."""
    module: str
    """Python module that `voxmesh up` runs."""
    port_offset: int
    """Port relative to the mesh's base port."""
    service: str
    """Full name of its gRPC service."""


COORDINATOR: Final = Slot("coordinator", "voxmesh_coordinator", 0, "voxmesh.conversation.v1.ConversationService")
TURN: Final = Slot("turn", "voxmesh_turn", 1, "voxmesh.turn.v1.TurnDetectionService")
STT: Final = Slot("stt", "voxmesh_stt", 2, "voxmesh.stt.v1.SpeechToTextService")
TTS: Final = Slot("tts", "voxmesh_tts", 3, "voxmesh.tts.v1.TextToSpeechService")
LLM: Final = Slot("llm", "voxmesh_llm_proxy", 4, "voxmesh.llm.v1.LanguageModelService")
VLM: Final = Slot("vlm", "voxmesh_vlm", 5, "voxmesh.vlm.v1.VisionLanguageService")
EMBED: Final = Slot("embed", "voxmesh_embed", 6, "voxmesh.embed.v1.EmbeddingService")

SLOTS: Final = (COORDINATOR, TURN, STT, TTS, LLM, VLM, EMBED)
BY_NAME: Final = {slot.name: slot for slot in SLOTS}
COMPOSED: Final = (TURN, STT, TTS, LLM, VLM)
"""What the coordinator calls."""
