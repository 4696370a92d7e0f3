"""Start an embedding service: `python -m voxmesh_embed --help`."""

from __future__ import annotations

from pydantic_settings import CliApp

from voxmesh_embed.servicer import EmbedService
from voxmesh_embed.settings import EmbedSettings
from voxmesh_runtime.commands import one_line_errors
from voxmesh_runtime.host import EngineHost
from voxmesh_runtime.server import serve


@one_line_errors()
def main() -> None:
    """Wire settings, engine, servicer and server."""
    settings = CliApp.run(EmbedSettings)
    serve(EmbedService(EngineHost.of("embed", settings), settings), settings, "embed")


if __name__ == "__main__":
    main()
