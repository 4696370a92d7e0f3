"""Start a language model proxy: `python -m voxmesh_llm_proxy --help`."""

from __future__ import annotations

from pydantic_settings import CliApp

from voxmesh_llm_proxy.endpoint import RemoteEndpoint
from voxmesh_llm_proxy.servicer import LlmService
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.supervisor import LlamaCpp
from voxmesh_runtime.commands import one_line_errors
from voxmesh_runtime.server import serve


@one_line_errors()
def main() -> None:
    """Wire settings, endpoint, servicer and server."""
    settings = CliApp.run(LlmSettings)
    url = settings.upstream_url
    endpoint = RemoteEndpoint(url, settings) if url is not None else LlamaCpp(settings)
    serve(LlmService(endpoint, settings), settings, "llm-proxy")


if __name__ == "__main__":
    main()
