"""Start a text-to-speech service: `python -m voxmesh_tts --help`."""

from __future__ import annotations

from pydantic_settings import CliApp

from voxmesh_runtime.commands import one_line_errors
from voxmesh_runtime.host import EngineHost
from voxmesh_runtime.server import serve
from voxmesh_tts.servicer import TtsService
from voxmesh_tts.settings import TtsSettings


@one_line_errors()
def main() -> None:
    """Wire settings, engine, servicer and server."""
    settings = CliApp.run(TtsSettings)
    serve(TtsService(EngineHost.of("tts", settings), settings), settings, "tts")


if __name__ == "__main__":
    main()
