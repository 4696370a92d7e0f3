"""Where the services of a mesh are and how long a client waits for them."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_state_path
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from voxmesh_client.slots import DEFAULT_BASE_PORT, Slot


class MeshSettings(BaseSettings):
    """Read once from `VOXMESH_*` variables, then passed down."""

    model_config = SettingsConfigDict(
        env_prefix="VOXMESH_", frozen=True, extra="ignore", use_attribute_docstrings=True, protected_namespaces=()
    )

    base_port: int = Field(default=DEFAULT_BASE_PORT, ge=1, le=65535 - 6)
    """Port of the coordinator on loopback; the other services follow it."""
    coordinator_target: str | None = None
    """gRPC target of the coordinator; unset takes its port on loopback."""
    turn_target: str | None = None
    """See `coordinator_target`."""
    stt_target: str | None = None
    """See `coordinator_target`."""
    tts_target: str | None = None
    """See `coordinator_target`."""
    llm_target: str | None = None
    """See `coordinator_target`."""
    vlm_target: str | None = None
    """See `coordinator_target`."""
    embed_target: str | None = None
    """See `coordinator_target`."""
    connect_timeout_s: float = Field(default=5.0, gt=0)
    """Longest wait for a connection, for a place on a full service, and for a unary answer, in seconds."""
    answer_timeout_s: float = Field(default=30.0, gt=0)
    """Longest wait for the first answer of a stream once it is connected, in seconds."""
    stream_timeout_s: float = Field(default=3600.0, gt=0)
    """Deadline of a whole stream, in seconds."""
    state_dir: Path = Field(default_factory=lambda: user_state_path("voxmesh"))
    """Folder of the logs that `voxmesh up` writes."""

    def target(self, slot: Slot) -> str:
        """The gRPC target of a service, such as "127.0.0.1:50052"."""
        chosen: str | None = getattr(self, f"{slot.name}_target")
        return chosen or f"127.0.0.1:{self.base_port + slot.port_offset}"

    def with_target(self, slot: Slot, target: str | None) -> MeshSettings:
        """The settings with another target for one service; None changes nothing."""
        return self if target is None else self.model_copy(update={f"{slot.name}_target": target})

    def logs_dir(self) -> Path:
        """Folder of the logs of the mesh at `base_port`."""
        return self.state_dir / f"mesh-{self.base_port}"
