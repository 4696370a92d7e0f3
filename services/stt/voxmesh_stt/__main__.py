"""Start a speech-to-text service: `python -m voxmesh_stt --help`."""

from __future__ import annotations

from pydantic_settings import CliApp

from voxmesh_runtime.commands import one_line_errors
from voxmesh_runtime.host import EngineHost
from voxmesh_runtime.server import serve
from voxmesh_stt.servicer import SttService
from voxmesh_stt.settings import SttSettings


@one_line_errors()
def main() -> None:
    """Wire settings, engine, servicer and server."""
    settings = CliApp.run(SttSettings)
    serve(SttService(EngineHost.of("stt", settings), settings), settings, "stt")


if __name__ == "__main__":
    main()
