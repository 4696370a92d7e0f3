"""Start a vision-language service: `python -m voxmesh_vlm --help`."""

from __future__ import annotations

from pydantic_settings import CliApp

from voxmesh_runtime.commands import one_line_errors
from voxmesh_runtime.host import EngineHost
from voxmesh_runtime.server import serve
from voxmesh_vlm.servicer import VlmService
from voxmesh_vlm.settings import VlmSettings


@one_line_errors()
def main() -> None:
    """Wire settings, engine, servicer and server."""
    settings = CliApp.run(VlmSettings)
    serve(VlmService(EngineHost.of("vlm", settings), settings), settings, "vlm")


if __name__ == "__main__":
    main()
