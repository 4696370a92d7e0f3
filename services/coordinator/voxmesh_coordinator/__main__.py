"""Start the coordinator: `python -m voxmesh_coordinator --help`."""

from __future__ import annotations

from pydantic_settings import CliApp

from voxmesh_coordinator.servicer import CoordinatorService
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_runtime.commands import one_line_errors
from voxmesh_runtime.server import serve


@one_line_errors()
def main() -> None:
    """Wire settings, servicer and server."""
    settings = CliApp.run(CoordinatorSettings)
    serve(CoordinatorService(settings), settings, "coordinator")


if __name__ == "__main__":
    main()
