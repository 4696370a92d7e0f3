"""Start a language model proxy: `python -m voxmesh_llm_proxy --help`."""

from __future__ import annotations

from pydantic_settings import CliApp

from voxmesh_llm_proxy.endpoint import Endpoint, RemoteEndpoint
from voxmesh_llm_proxy.pool import Pool
from voxmesh_llm_proxy.servicer import LlmService
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.supervisor import LlamaCpp
from voxmesh_llm_proxy.upstream import Upstream
from voxmesh_llm_proxy.upstream_file import UpstreamSettings, read_upstreams
from voxmesh_runtime.commands import one_line_errors
from voxmesh_runtime.server import serve


@one_line_errors()
def main() -> None:
    """Wire settings, upstreams, servicer and server."""
    settings = CliApp.run(LlmSettings)
    serve(service_of(settings), settings, "llm-proxy")


def service_of(settings: LlmSettings) -> LlmService:
    """The service in front of the upstreams of a file, or of the one that the settings describe.

    Raises:
        FailedPrecondition: the file is wrong.
    """
    if settings.upstreams_file is None:
        url = settings.upstream_url
        return LlmService(RemoteEndpoint(url, settings) if url is not None else LlamaCpp(settings), settings)
    file = read_upstreams(settings.upstreams_file)
    upstreams = [Upstream(_endpoint(named, settings), settings, named) for named in file.upstreams]
    return LlmService(Pool(upstreams, settings, file.hedge_after_s), settings, file.callers)


def _endpoint(named: UpstreamSettings, settings: LlmSettings) -> Endpoint:
    if named.base_url is not None:
        return RemoteEndpoint.named(named.base_url, named, settings)
    own = {"concurrency": named.limits.concurrent or settings.concurrency, "upstream_license": named.license}
    return LlamaCpp(settings.model_copy(update=own))


if __name__ == "__main__":
    main()
