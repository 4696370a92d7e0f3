"""Start a turn detection service: `python -m voxmesh_turn --help`."""

from __future__ import annotations

from pydantic_settings import CliApp

from voxmesh_runtime.commands import one_line_errors
from voxmesh_runtime.host import EngineHost
from voxmesh_runtime.server import serve
from voxmesh_turn.servicer import TurnService
from voxmesh_turn.settings import TurnSettings


@one_line_errors()
def main() -> None:
    """Wire settings, engine, servicer and server."""
    settings = CliApp.run(TurnSettings)
    serve(TurnService(EngineHost.of("turn", settings), settings), settings, "turn")


if __name__ == "__main__":
    main()
