"""Settings that every service has; each service adds its own in a subclass."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServerSettings(BaseSettings):
    """Read once at start from the command line and `VOXMESH_*` variables, then passed down."""

    model_config = SettingsConfigDict(
        env_prefix="VOXMESH_",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        populate_by_name=True,
        protected_namespaces=(),
    )

    host: str = "127.0.0.1"
    """Address to listen on, such as 0.0.0.0 or ::1; anything but loopback must be asked for."""
    port: int = Field(default=0, ge=0, le=65535)
    """Port to listen on; 0 takes a free one and logs it."""
    host_name: str = Field(default_factory=socket.gethostname)
    """Name of this host in answers and traces; by default the host's own."""
    max_streams: int = Field(default=16, ge=1)
    """Streams served at once; more are refused with RESOURCE_EXHAUSTED."""
    max_message_bytes: int = Field(default=4 * 1024 * 1024, ge=64 * 1024)
    """Longest message accepted, in bytes."""
    config_timeout_s: float = Field(default=10.0, gt=0)
    """Wait for a stream's first message, in seconds."""
    write_timeout_s: float = Field(default=30.0, gt=0)
    """Longest wait for a client that does not read, in seconds."""
    drain_delay_s: float = Field(default=0.0, ge=0)
    """On SIGTERM, time between NOT_SERVING and `going_away`: longer than the balancer's health interval."""
    drain_s: float = Field(default=30.0, ge=0)
    """On SIGTERM, longest wait for streams to end, in seconds; a second signal cuts it short."""
    model: str | None = None
    """Model to load, by name, `hub:`, `wheel:` or path; unset takes the engine's default."""
    device: str = "auto"
    """Device to run the model on: auto, cpu, cuda:0, ..."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of the model."""
    cache_dir: Path = Field(default_factory=lambda: user_cache_path("voxmesh"))
    """Folder of downloaded models; by default `voxmesh` in the user's cache."""
    otlp_endpoint: str | None = Field(default=None, alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    """Where traces and metrics go, as http://host:4317; unset sends none."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe level that is logged."""
    parent_pid: int | None = None
    """Stop when the parent is no longer this process; `voxmesh up` sets it so that no orphan stays."""


class EngineSettings(ServerSettings):
    """Settings of a service that has engines to choose from."""

    engine: str = ""
    """Name of an installed engine; unset takes the one that is installed."""
    fallback_engines: tuple[str, ...] = ()
    """Engines to serve in its place, first choice first, where it cannot load on any device: NAME or NAME=MODEL."""
    unload_after_s: float | None = Field(default=None, ge=0)
    """Give the model's memory back when nobody used it for so long, in seconds; the next request loads it again."""
